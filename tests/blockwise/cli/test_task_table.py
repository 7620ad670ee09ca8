"""The table of tasks: its words, its count, and the time left."""

import io

import pytest
from rich.console import Console
from small_tasks import counting

from blockwise.cli.task_table import TaskTable
from blockwise.executors.task import Progress, Said
from blockwise.training.outcome import Epoch

A, B = counting("a"), counting("b")
EPOCH = Epoch(1, "", 0.5, 0.75, 2.0)


def table(*, terminal: bool, width: int = 130) -> tuple[TaskTable, io.StringIO, list[float]]:
    stream, now = io.StringIO(), [0.0]
    console = Console(file=stream, force_terminal=terminal, width=width)
    return TaskTable(console, 4, 3, lambda: now[0]), stream, now


def shown(found: TaskTable) -> list[str]:
    with found.console.capture() as capture:
        found.console.print(found.render())
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_it_counts_what_runs_waits_and_is_done_and_reckons_the_time_left_from_all_of_it():
    found, _, now = table(terminal=True)
    assert shown(found) == ["0 running, 3 waiting, 0 of 3 done"]
    found.begun(A, "process 12")
    found.begun(B, "process 13")
    found.heard(A, Progress(0.25, ""))  # it goes on: a quarter was done before
    found.heard(B, Progress(0.0, ""))
    now[0] = 10.0
    found.heard(A, Progress(0.5, "", EPOCH))
    found.heard(B, Progress(0.25, "stage1"))
    # half a task in 10 s, and 3 - 0.5 - 0.25 to come
    assert shown(found) == [
        "task a process 12 1/4 loss 0.500, valid. 75.0% 50%",
        "task b stage1 process 13 0/4 25%",
        "2 running, 1 waiting, 0 of 3 done, 45.0 s left",
    ]
    found.finished(A)
    assert found.summary() == "1 running, 1 waiting, 1 of 3 done, 17.5 s left"  # 1.75 to come at 1 in 10 s
    assert found.seconds_left() == pytest.approx(17.5)


def test_a_lost_task_waits_again_and_its_loss_is_told():
    found, stream, _ = table(terminal=False)
    found.begun(A, "")
    found.lost(A, "its worker was killed")
    assert stream.getvalue() == "task a: its worker was killed\n"
    assert found.summary() == "0 running, 3 waiting, 0 of 3 done"


def test_without_a_terminal_epochs_and_what_tasks_say_are_lines():
    found, stream, _ = table(terminal=False)
    with found:
        found.begun(A, "")
        found.heard(A, Progress(0.5, "", EPOCH))
        found.heard(A, Said("goes on with 1 thread"))
        found.finished(A)
    assert stream.getvalue().splitlines() == [
        "task a: epoch 1/4, loss 0.500, validation accuracy 75.0%, 2.0 s",
        "task a: goes on with 1 thread",
    ]


def test_an_interruption_is_told_how_to_go_on():
    with pytest.raises(KeyboardInterrupt, match="the same command goes on"), table(terminal=False)[0]:
        raise KeyboardInterrupt
