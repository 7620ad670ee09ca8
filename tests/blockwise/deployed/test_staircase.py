"""Thresholds and levels do to every float what the trained quantizer of activations does."""

import pytest
import torch
from inner import inner
from quantizer_cases import EXTREMES, cases, new, over, values

from blockwise import quant
from blockwise.deployed.staircase import staircase
from blockwise.quant.layers import Signed

INF = torch.tensor(torch.inf)


def around(thresholds: torch.Tensor) -> torch.Tensor:
    """Each threshold, the floats beside it, and many values."""
    beside = [thresholds, torch.nextafter(thresholds, INF), torch.nextafter(thresholds, -INF)]
    size = thresholds.abs().amax() if len(thresholds) else 1.0
    return torch.cat([*beside, size * torch.linspace(-3, 3, 5001), torch.zeros(1)])


def test_by_hand_a_step_of_a_half_rounds_ties_to_even():
    quantizer = quant.make("lsq", 2, "activation")
    quantizer.step.data.fill_(0.5)
    quantizer.ready.fill_(True)
    quantizer._is_ready = True
    found = staircase(quantizer)
    up = torch.nextafter(torch.tensor([0.25, 1.25]), INF)  # 0.5 and 2.5 steps stay below
    assert found.thresholds.tolist() == [up[0], 0.75, up[1]]
    assert found.levels.tolist() == [0, 0.5, 1, 1.5]
    assert found.is_that_of(lambda x: (x / 0.5).clamp(0, 3).round() * 0.5)
    assert not found.is_that_of(lambda x: ((x / 0.5).clamp(0, 3) + 0.5).floor() * 0.5)


@over(cases(lambda kind: kind.elementwise, roles=("activation",)))
def test_every_method_gives_the_levels_of_its_staircase(name, bits, role):
    check(name, bits, values(1))


@pytest.mark.slow
@over(cases(lambda kind: kind.elementwise, roles=("activation",)))
def test_so_it_does_after_the_worst_of_batches(name, bits, role):
    for what, x in EXTREMES.items():
        with inner(tensor=what):
            check(name, bits, x)


def check(name: str, bits: int, x: torch.Tensor) -> None:
    quantizer = new(name, bits, "activation", x)
    quantizer(x)
    found = staircase(quantizer)
    assert len(found.levels) == len(found.thresholds) + 1 <= 1 << bits
    assert bool((found.thresholds.diff() > 0).all())
    probe = around(found.thresholds)
    probe = probe[probe.isfinite()]
    assert torch.equal(found(probe), quantizer(probe[None])[0])


def test_of_both_signs_there_are_levels_on_either_side():
    x = values(2)
    quantizer = Signed(new("lsq", 3, "activation", x)).eval()
    quantizer(x)
    found = staircase(quantizer)
    assert torch.equal(found.levels, -found.levels.flip(0))
    assert len(found.levels) == 15
    probe = around(found.thresholds)
    assert torch.equal(found(probe), quantizer(probe[None])[0])


@pytest.mark.slow
def test_sixteen_bits_have_all_their_levels():
    x = values(3)
    quantizer = new("dorefa", 16, "activation", x)
    found = staircase(quantizer)
    assert len(found.levels) == 1 << 16
    probe = torch.linspace(-1, 2, 100_001)
    assert torch.equal(found(probe), quantizer(probe[None])[0])
