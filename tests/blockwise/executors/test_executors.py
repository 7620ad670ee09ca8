"""What every executor does alike, with tasks that only count."""

from zlib import crc32

import pytest
from small_tasks import Heard, counting

from blockwise.executors.serial import Serial
from blockwise.executors.storage import Folder
from blockwise.executors.task import Executor
from devices.errors import InputError

EXECUTORS: dict[str, Executor] = {"serial": Serial()}


@pytest.fixture(params=EXECUTORS)
def executor(request) -> Executor:
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
