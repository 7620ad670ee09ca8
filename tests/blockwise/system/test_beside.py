"""Work beside the command: its answer, its errors, and who does it where it cannot be forked."""

import multiprocessing
import os
import signal
import sys
import time
from functools import partial

import pytest

from blockwise.system import beside as subject
from blockwise.system.beside import beside, beside_loaded, load_beside, own_process

FORKS = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux a process is forked")


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(subject, "cores", lambda: 2)


def test_a_process_that_is_not_the_commands_own_does_the_work_itself_and_once_when_it_is_asked_for():
    done: list[int] = []
    answer = beside(lambda: done.append(os.getpid()))
    assert done == []
    assert (answer(), answer(), done) == (None, None, [os.getpid()])


def test_one_core_alone_does_everything_in_turn(monkeypatch):
    monkeypatch.setattr(subject, "cores", lambda: 1)
    with own_process():
        assert beside(os.getpid)() == os.getpid()


@FORKS
def test_the_commands_own_process_has_its_work_done_by_another_at_the_same_time(two_cores):
    with own_process():
        answers = [beside(os.getpid), beside(partial(divmod, 7, 2))]
    assert answers[0]() not in (os.getpid(), None) and answers[0]() == answers[0]()
    assert answers[1]() == (3, 1)


@FORKS
def test_an_error_of_the_work_is_raised_where_its_answer_is_asked_for(two_cores):
    with own_process():
        answer = beside(partial(int, "seven"))
    with pytest.raises(ValueError, match="seven"):
        answer()


@FORKS
def test_work_whose_process_is_killed_is_done_here(two_cores):
    def once_alone() -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    here = os.getpid()
    with own_process():
        assert beside(once_alone)() == here


@FORKS
def test_a_process_loads_before_it_is_given_work_and_takes_one_piece_of_it(two_cores, tmp_path):
    with own_process():
        load_beside(lambda: (tmp_path / "loaded").write_text(str(os.getpid())))
        until = time.monotonic() + 30
        while not list(tmp_path.glob("loaded")):
            assert time.monotonic() < until
            time.sleep(0.01)
        first, second = beside_loaded(os.getpid)(), beside_loaded(os.getpid)()
    assert str(first) == (tmp_path / "loaded").read_text() and second not in (first, os.getpid())


@FORKS
def test_work_for_a_process_that_was_killed_while_it_loaded_is_done_by_another(two_cores, tmp_path):
    with own_process():
        load_beside(lambda: os.kill(os.getpid(), signal.SIGKILL))
        multiprocessing.active_children()[-1].join()
        text = "a" * 200_000  # more than a pipe holds: it would wait for a reader that is no more
        assert beside_loaded(partial(str.upper, text))() == text.upper()


def test_without_a_process_of_its_own_nothing_is_loaded_for_work_that_may_never_come():
    load_beside(lambda: pytest.fail("loaded"))
    assert beside_loaded(partial(divmod, 7, 2))() == (3, 1)
