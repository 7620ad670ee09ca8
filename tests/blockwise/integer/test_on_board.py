"""Integer regimes executed on bytes end with the bits of the simulation."""

import itertools

import pytest
from integer_steps import IntegerSteps
from tiers import shown, tiered

from blockwise.training.options import Perturbation
from devices.program.ledger import Ledger
from devices.program.regimes import INTEGER_REGIMES

pytestmark = pytest.mark.floats  # the float network from which an integer one is made


QUICK = {"niti", "niti4-jump-local"}
"""Of these both ways of requantizing are quick, and of those below neither is long."""
BOTH = QUICK | {"niti4"}


@pytest.mark.parametrize(
    ("regime", "twice"),
    tiered(
        itertools.product(INTEGER_REGIMES, (False, True)),
        list(itertools.product(QUICK, (False, True))),
        [(name, twice) for name in INTEGER_REGIMES for twice in (False, True) if twice or name in BOTH],
        spread=True,
    ),
)
def test_three_steps_on_bytes_end_with_the_bits_of_the_simulation(regime, twice, integers_only):
    for model in ("plain4", "cnn"):
        for batch in (1, 4):
            steps = IntegerSteps(regime, model, batch, twice)
            with integers_only():
                assert steps.run(3) == [], (model, batch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "spec"),
    shown(
        itertools.product(["niti-zo", "niti-zo-hybrid"], ["all", "last:2"]),
        ("niti-zo", "last:2"),
        ("niti-zo-hybrid", "all"),
        spread=True,
    ),
)
def test_so_do_steps_along_several_directions_of_all_weights_or_of_some(regime, spec, integers_only):
    for model, twice in (("plain4", False), ("cnn", True)):
        told = Perturbation(directions=3, range=31, mu=3)
        steps = IntegerSteps(regime, model, 4, twice, perturbation=told, train=spec)
        with integers_only():
            assert steps.run(2) == [], model


@pytest.mark.parametrize(("regime", "spec"), [("niti", "last:2"), ("niti4-jump-local", "blocks:2")])
def test_so_do_steps_that_read_frozen_weights_in_place(regime, spec, integers_only):
    """They are in no sum of live bytes; what they take in flash they would take in RAM."""
    steps = IntegerSteps(regime, batch=2, train=spec, frozen="flash")
    there = IntegerSteps(regime, batch=2, train=spec).plan
    mapped = {name for name, tensor in steps.plan.tensors.items() if tensor.mapped}
    assert mapped and mapped == {name for name in mapped if there.tensors[name].resident}
    saved = [Ledger(plan, alignment=1).peak_bytes for plan in (there, steps.plan)]
    assert saved[0] - saved[1] == steps.plan.mapped_bytes == sum(there.tensors[n].bytes for n in mapped)
    with integers_only():
        assert steps.run(2) == []


@pytest.mark.parametrize("regime", ["niti", "niti-local", "niti4-jump-local"])
def test_so_do_steps_of_a_network_of_more_layers_in_larger_blocks(regime, integers_only):
    steps = IntegerSteps(regime, "plain6", 3, in_shape=(3, 16, 16), blocks="2")
    with integers_only():
        assert steps.run(2) == []


@pytest.mark.parametrize("twice", [False, True], ids=["buffered", "twice"])
@pytest.mark.parametrize("regime", ["niti", "niti4"])
def test_so_do_steps_in_which_a_pool_drops_the_last_row_and_column(regime, twice, integers_only):
    steps = IntegerSteps(regime, batch=2, twice=twice, in_shape=(1, 10, 10))  # 10x10, 5x5, 2x2
    with integers_only():
        assert steps.run(2) == []


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["niti", "niti4", "niti4-jump-local"])
def test_so_do_steps_in_which_some_sums_are_made_twice(regime, integers_only):
    peaks = [Ledger(IntegerSteps(regime, twice=twice).plan).peak_bytes for twice in (True, False)]
    steps = IntegerSteps(regime, limit_bytes=sum(peaks) // 2)
    actions = {operation.action for operation in steps.plan.operations}
    assert {"largest sum", "backward (weight, largest)"} & actions
    assert "backward (weight)" in actions
    with integers_only():
        assert steps.run(3) == []
