"""How often a task is tried: without end as long as it gets on, else three times."""

import pytest
from small_tasks import Heard, counting

from blockwise.executors.attempts import MOST_DEATHS, Attempts, GivenUp
from blockwise.executors.task import Progress
from blockwise.training.outcome import Epoch

A, B = counting("a"), counting("b")
EPOCH = Progress(0.5, "", Epoch(1, "", 0.5, None, 1.0))


def test_a_task_that_has_lost_its_worker_comes_first_again():
    attempts = Attempts([A, B], Heard())
    assert attempts.take() == A
    attempts.died(A, "it died")
    assert [attempts.take(), attempts.take(), attempts.take()] == [A, B, None]
    attempts.check()


def test_epochs_in_between_allow_any_number_of_deaths():
    attempts = Attempts([A], Heard())
    for _ in range(3 * MOST_DEATHS):
        assert attempts.take() == A
        attempts.heard(A, Progress(0.1, ""))
        attempts.died(A, "it died")
        assert attempts.take() == A
        attempts.heard(A, EPOCH)
        attempts.died(A, "it died")
    attempts.check()


def test_without_an_epoch_it_is_given_up_and_told_behind_all_others():
    heard = Heard()
    attempts = Attempts([A, B], heard)
    for _ in range(MOST_DEATHS):
        assert attempts.take() == A
        attempts.died(A, "its worker died")
    assert [attempts.take(), attempts.take()] == [B, None]
    assert heard.words[-1] == ("a lost: its worker died, 3 times without an epoch in between; it is given up")
    with pytest.raises(GivenUp, match="task a: got its worker died 3 times") as told:
        attempts.check()
    assert told.value.exit_code == 1
