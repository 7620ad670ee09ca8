"""Schedules that several boards share."""

import pytest
from small_networks import build

from devices.network.bits import Bits
from devices.program.ledger import Ledger
from devices.program.made_once import Schedules
from devices.program.regimes import Step, schedule
from devices.program.regimes.builder import quantized


def test_boards_share_a_schedule_unless_its_regime_looks_at_the_ram_that_they_have():
    network, schedules = build("plain4", (1, 8, 8)).describe(blocks="stages", head="gap"), Schedules()
    small, large = Step(4, limit_bytes=2**15), Step(4, limit_bytes=2**22)
    assert schedules.of("local", network, small) is schedules.of("local", network, large)
    assert schedules.of("local", network, small) is not schedules.of("local", network, Step(8))
    for step in (small, large):
        assert schedules.of("bp-best", network, step) == schedule("bp-best", network, step)
    assert schedules.of("bp-best", network, small) != schedules.of("bp-best", network, large)


@pytest.mark.parametrize("regime", ["bp-best", "bp-micro"])
def test_a_limit_is_met_by_what_was_best_within_a_higher_one_or_else_the_lowest_peak(regime):
    network, schedules = build("cnn", (1, 8, 8)).describe(blocks="stages", head="gap"), Schedules()
    lowest, most = (
        Ledger(schedule(regime, network, Step(4, limit_bytes=n))).peak_bytes for n in (None, 2**30)
    )
    assert lowest < most
    limits = [2**30, most + 8, most, *range(most - 8, lowest - 64, -512), lowest, lowest - 8, 64]
    for limit in limits:
        step = Step(4, limit_bytes=limit)
        assert schedules.of(regime, network, step) == schedule(regime, network, step)


def test_sums_computed_twice_where_they_would_not_fit_depend_on_the_ram():
    network, schedules = build("plain4", (1, 8, 8)).describe(blocks="stages", head="pred-pooled"), Schedules()
    steps = [Step(4, limit_bytes=limit, by_tensor=True) for limit in (2**13, 2**22)]
    made = [schedules.of("niti-local", network, step) for step in steps]
    assert made == [schedule("niti-local", network, step) for step in steps]
    assert made[0] != made[1]


def test_the_quantizers_of_a_network_are_placed_once_for_all_steps_of_the_same_bits():
    network = build("cnn", (1, 8, 8)).describe(blocks="stages", head="gap")
    one, other = quantized(network, Step(4)), quantized(network, Step(8, optimizer="adam"))
    assert one is other
    of_floats = quantized(network, Step(4, bits=Bits(32, 32)))
    assert of_floats.all_layers == network.all_layers != one.all_layers
