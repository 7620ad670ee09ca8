"""What a task tells of itself: parts of all its work, and seldom."""

from blockwise.executors.reports import PAUSE_S, Reports
from blockwise.executors.task import Progress
from blockwise.training.outcome import Epoch

EPOCH = Epoch(1, "b", 0.5, None, 1.0)


def test_parts_are_of_all_phases_and_come_seldom_but_at_epochs():
    heard, now = [], [0.0]
    reports = Reports(heard.append, clock=lambda: now[0])
    reports.expect(("a", "b"))
    reports.phase("local", "b", 4, 2)  # of a training that goes on with its second block
    for done in (1, 2, 3, 4):
        reports.batch(done)
        now[0] += 0.6 * PAUSE_S
    reports.epoch("local", EPOCH)
    assert heard == [Progress(0.625, "b"), Progress(0.875, "b"), Progress(1.0, "b", EPOCH, 2)]


def test_an_epoch_is_told_when_its_state_is_safe():
    order = []
    reports = Reports(lambda message: order.append("told"), lambda: order.append("saved"))
    reports.phase("bp", "", 1, 1)
    reports.epoch("bp", EPOCH)
    assert order == ["saved", "told"]
