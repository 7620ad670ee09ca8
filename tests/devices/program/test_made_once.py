"""Schedules that several boards share."""

from small_networks import build

from devices.program.made_once import Schedules
from devices.program.regimes import Step, schedule


def test_boards_share_a_schedule_unless_its_regime_looks_at_the_ram_that_they_have():
    network, schedules = build("plain4", (1, 8, 8)).describe(blocks="stages", head="gap"), Schedules()
    small, large = Step(4, limit_bytes=2**15), Step(4, limit_bytes=2**22)
    assert schedules.of("local", network, small) is schedules.of("local", network, large)
    assert schedules.of("local", network, small) is not schedules.of("local", network, Step(8))
    for step in (small, large):
        assert schedules.of("bp-best", network, step) == schedule("bp-best", network, step)
    assert schedules.of("bp-best", network, small) != schedules.of("bp-best", network, large)


def test_sums_computed_twice_where_they_would_not_fit_depend_on_the_ram():
    network, schedules = build("plain4", (1, 8, 8)).describe(blocks="stages", head="pred-pooled"), Schedules()
    steps = [Step(4, limit_bytes=limit, by_tensor=True) for limit in (2**13, 2**22)]
    made = [schedules.of("niti-local", network, step) for step in steps]
    assert made == [schedule("niti-local", network, step) for step in steps]
    assert made[0] != made[1]
