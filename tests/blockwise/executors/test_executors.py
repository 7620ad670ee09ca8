"""What every executor does alike, with tasks that only count."""

import time
from contextlib import closing
from zlib import crc32

import pytest
from ray_head import WITH_RAY, head  # noqa: F401 (a fixture)
from small_tasks import Heard, counting

from blockwise.executors.attempts import GivenUp
from blockwise.executors.processes import Processes
from blockwise.executors.ray import Ray
from blockwise.executors.ray_flights import Share
from blockwise.executors.remote import Remote
from blockwise.executors.serial import Serial
from blockwise.executors.storage import Folder
from blockwise.executors.task import Executor
from blockwise.executors.version import Version
from devices.errors import InputError

EXECUTORS: dict[str, Executor] = {"serial": Serial(), "processes": Processes(workers=2, threads=1)}

ELSEWHERE = [
    pytest.param("processes", marks=pytest.mark.slow),
    pytest.param("ray", marks=[pytest.mark.long, WITH_RAY]),
]


@pytest.fixture(params=["serial", *ELSEWHERE])
def executor(request) -> Executor:
    return made(request)


def made(request) -> Executor:
    """Those on Ray share one, which runs elsewhere on this computer."""
    if request.param == "ray":
        return Ray(Share(threads=1), 2, request.getfixturevalue("head"))
    return EXECUTORS[request.param]


def test_every_task_is_done_once_and_tells_how_far_it_is(executor, tmp_path):
    heard, tasks = Heard(), [counting(name) for name in "abc"]
    found = {f.task.key: f.answer for f in executor.run(tasks, Folder(tmp_path), heard)}
    assert found == {name: (0, 3) for name in "abc"}
    assert sorted(heard.words) == sorted(f"{name} {what}" for name in "abc" for what in ("begun", "finished"))
    assert heard.parts == {name: [pytest.approx(n / 3) for n in (1, 2, 3)] for name in "abc"}


def test_a_task_goes_on_from_what_it_has_kept(executor, tmp_path):
    (tmp_path / "a.txt").write_text("2", "utf-8")
    (found,) = executor.run([counting("a", 5)], Folder(tmp_path), Heard())
    assert found.answer == (2, 5)


def test_what_a_killed_writer_left_half_written_is_removed(executor, tmp_path):
    mine, other = (
        tmp_path / f".{name}.{crc32(name.encode()):08x}.{'0' * 32}.tmp" for name in ("a.txt", "b.txt")
    )
    for path in (mine, other):
        path.touch()
    list(executor.run([counting("a")], Folder(tmp_path), Heard()))
    assert not mine.exists() and other.exists()


def test_what_a_task_raises_is_raised(executor, tmp_path):
    with pytest.raises(InputError, match="count: got 2, wanted less; count less"):
        list(executor.run([counting("a", fails_at=2), counting("b", 10_000)], Folder(tmp_path), Heard()))
    assert (tmp_path / "a.txt").read_text("utf-8") == "1"


@pytest.fixture(params=ELSEWHERE)
def elsewhere(request) -> Executor:
    """One whose workers may die."""
    return made(request)


def test_a_task_whose_worker_is_killed_goes_on_from_what_it_has_kept(elsewhere, tmp_path):
    heard = Heard()
    tasks = [counting("a", 6, dies_at=4), counting("b")]
    found = {f.task.key: f.answer for f in elsewhere.run(tasks, Folder(tmp_path), heard)}
    assert found == {"a": (3, 6), "b": (0, 3)}
    (lost,) = (word for word in heard.words if "lost" in word)
    assert lost.startswith("a lost: its worker") and lost.endswith("it goes on from its last epoch")
    assert heard.words.count("a begun") == 2


def test_a_task_that_kills_every_worker_is_given_up_behind_all_others(elsewhere, tmp_path):
    heard, found = Heard(), []
    with pytest.raises(
        GivenUp, match=r"task a: got its worker.* died .* 3 times, wanted a worker that lives"
    ):
        for answer in elsewhere.run(
            [counting("a", dies_at=2, always=True), counting("b")], Folder(tmp_path), heard
        ):
            found.append(answer.task.key)
    assert found == ["b"]
    assert heard.words.count("a begun") == 3
    assert (tmp_path / "a.txt").read_text("utf-8") == "1"  # the next call goes on from there


def test_whoever_stops_leaves_no_worker_and_no_half_file(elsewhere, tmp_path):
    tasks = [counting("a", 1), counting("b", 10**6), counting("c", 10**6)]
    with closing(elsewhere.run(tasks, Folder(tmp_path), Heard())) as answers:
        assert next(answers).task.key == "a"
        until = time.monotonic() + 60
        while not (tmp_path / "b.txt").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
    count = (tmp_path / "b.txt").read_text("utf-8")
    time.sleep(0.2)
    assert (tmp_path / "b.txt").read_text("utf-8") == count
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_a_worker_with_another_version_of_the_code_is_refused_by_name(elsewhere, tmp_path, monkeypatch):
    """Here it is this process that has another one."""
    here, other = Version.here(), Version("9.9", "00000000", "1.0")
    monkeypatch.setattr(Version, "here", classmethod(lambda cls: other))
    with pytest.raises(InputError, match=r"worker on .*process \d+: got ") as told:
        list(elsewhere.run([counting("a")], Folder(tmp_path), Heard()))
    assert f"got {here}, wanted {other}, as where the command was given" in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_storage_that_workers_do_not_see_is_refused(elsewhere):
    """What fsspec keeps in memory no other process sees."""
    with pytest.raises(
        InputError, match=r"--storage memory://x: got another one on .*process \d+, wanted one"
    ):
        list(elsewhere.run([counting("a")], Remote("memory://x"), Heard()))
