"""Weights from floats to integers and back, in every form."""

import pytest
import torch

from blockwise.experiment.initial.integers import floats_of, quantize_into
from blockwise.integer.arithmetic import Place
from blockwise.integer.arithmetics import ARITHMETICS
from blockwise.integer.conversion import best_factor
from blockwise.integer.net import IntegerNet
from blockwise.integer.nitro import kaiming_bound
from blockwise.integer.ops import Steps
from blockwise.integer.xorshift import Xorshift32
from blockwise.models import build
from blockwise.nets.blocks import BlockNet

pytestmark = pytest.mark.floats
PLACES = (
    Place((8, 4, 3, 3)), Place((5, 16), edge=True), Place((32, 1, 3, 3), steps=Steps(groups=32)),
    Place((8, 1, 3, 3), edge=True, steps=Steps(groups=4)),
)  # fmt: skip


@pytest.mark.parametrize("name", ARITHMETICS)
@pytest.mark.parametrize("place", PLACES, ids=["inner", "edge", "depthwise", "grouped"])
def test_integers_come_back_from_floats_to_the_bit(name, place):
    arithmetic = ARITHMETICS[name]
    first = arithmetic.initial(place, Xorshift32(3, 1))
    again = arithmetic.stored(arithmetic.floats(first, place), place)
    assert again.dtype == first.dtype
    assert torch.equal(again, first)


def test_eight_bits_hold_floats_to_half_a_step_of_the_largest():
    weights = torch.tensor([[0.3, -1.0, 0.1], [0.004, -0.0039, 0.5]])
    found = ARITHMETICS["niti"].stored(weights, Place((2, 3)))
    assert found.tolist() == [[38, -127, 13], [1, 0, 64]]  # weights x 127, to nearest, ties to even


def test_residues_hold_what_states_leave():
    place = Place((1, 4))
    weights = torch.tensor([[7.0, -3.5, 1.25, 0.0]]) * 0.013  # states 7, -3.5, 1.25, 0 at this factor
    byte = ARITHMETICS["niti4"].stored(weights, place).int()
    factor = best_factor(torch.tensor([[7.0, -3.5, 1.25, 0.0]], dtype=torch.float64), 7)
    expected = (torch.tensor([7.0, -3.5, 1.25, 0.0]) * factor * 16).round() + 8
    assert byte[0].tolist() == expected.clamp(-112, 127).tolist()
    assert (byte >> 4).tolist() == [[int(v) >> 4 for v in expected.clamp(-112, 127).tolist()]]


def test_the_factor_is_better_than_any_that_was_not_tried():
    units = torch.randn(400, dtype=torch.float64)
    found = best_factor(units, 7)

    def error(factor: float) -> float:
        return float(((units * factor).round().clamp(-7, 7) / factor - units).square().sum())

    tried = [error(f) for f in torch.linspace(0.5, 12, 4000).tolist()]
    assert error(found) <= 1.02 * min(tried)  # between two of a grid it may be a little better
    assert best_factor(torch.zeros(3, dtype=torch.float64), 7) == 1.0


def test_the_weights_of_nitro_are_as_large_as_its_first_ones():
    weights = torch.randn(64, 32, 3, 3) * 0.01
    found = ARITHMETICS["nitro"].stored(weights, Place((64, 32, 3, 3))).double()
    uniform = kaiming_bound((64, 32, 3, 3)) / 3**0.5
    assert float(found.square().mean().sqrt()) == pytest.approx(uniform, rel=0.02)
    assert torch.corrcoef(torch.stack([found.flatten(), weights.double().flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize(("name", "least"), [("niti", 0.995), ("niti4", 0.9)])
def test_an_integer_network_gives_the_logits_of_the_float_one_up_to_a_factor(name, least):
    chain = build("plain4", (1, 8, 8), 10, 4)
    blocks = BlockNet(chain, ((0, 1), (2, 3, 4)), "gap")
    net = IntegerNet(blocks, ARITHMETICS[name], seed=0)
    quantize_into(net, blocks, heads=True)
    pixels = torch.randint(0, 256, (32, 1, 8, 8), dtype=torch.uint8)
    ours = net.each(pixels).double().flatten()
    theirs = chain((pixels.float() - 128) / 128).detach().double()
    # each image's integers have an exponent of their own: directions are compared
    pairs = zip(ours.view(32, -1), theirs, strict=True)
    assert min(torch.cosine_similarity(a, b, 0).item() for a, b in pairs) > least
    bodies, heads = floats_of(net, chain, blocks)
    assert set(bodies) == {name for name in chain.units.state_dict() if name.endswith("weight")}
    assert set(heads) == {"0.classify.linear.weight"}
