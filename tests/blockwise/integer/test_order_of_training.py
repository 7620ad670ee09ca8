"""What docs/integer-arithmetic.md says of a training: its bits, streams, rates and digest."""

import struct
import zlib

import pytest
import torch

from blockwise import models
from blockwise.integer import Accumulator, Xorshift32
from blockwise.integer.arithmetic import Place
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.layers import weighted, weights_of
from blockwise.integer.net import IntegerNet
from blockwise.integer.niti import NITI4_JUMP
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import INTEGER_REGIMES
from blockwise.training.digest import digest
from devices.network import Network
from devices.program.integer import integer_network
from devices.program.regimes import Step, schedule
from devices.program.schedule import Schedule

pytestmark = pytest.mark.floats  # the float network from which an integer one is made


def plain4(regime: str, batch: int = 1) -> tuple[Network, Schedule, IntegerNet]:
    """A small network in blocks of one layer with heads, its step and its simulation."""
    chain = models.build("plain4", (1, 8, 8), 3, 4, "none")
    anatomy, step = Anatomy(chain, "gap"), Step(batch)
    groups = anatomy.cut("layers", step)
    network = anatomy.network(groups)
    net = IntegerNet(BlockNet(chain, groups, "gap"), arithmetic_of(regime), 7)
    return integer_network(network), schedule(regime, network, step), net


def test_what_has_8_bits_in_the_4_bit_forms():
    tensors = plain4("niti4-jump-local")[1].tensors
    weights = {n.removesuffix(".weight"): t.bits for n, t in tensors.items() if n.endswith(".weight")}
    assert {name for name, bits in weights.items() if bits == 4} == {"conv2.conv", "conv3.conv", "conv4.conv"}
    assert {b for n, b in weights.items() if n in ("conv1.conv", "classifier.linear") or "head" in n} == {8}
    written = {n: t.bits for n, t in tensors.items() if n.endswith("relu.out")}
    assert written == {"conv1.relu.out": 4, "conv2.relu.out": 4, "conv3.relu.out": 4, "conv4.relu.out": 8}
    assert {tensors[f"conv{n}.head.classify.pool.out"].bits for n in (1, 2)} == {8}


def test_the_digest_is_the_crc_of_one_byte_a_weight():
    _, _, net = plain4("niti4-jump")
    packed = net.body(1).layers[0].weight  # states: half a byte each on a board
    assert digest([packed]) == f"{zlib.crc32(bytes(int(w) & 255 for w in packed.flatten())):08x}"
    wide = plain4("nitro-local")[2].body(0).layers[1].weight
    assert digest([wide]) == f"{zlib.crc32(struct.pack(f'<{wide.numel()}i', *wide.flatten().tolist())):08x}"
    for regime, heads in (("niti", (3,)), ("niti-local", (0, 1, 2, 3))):
        (phase,) = INTEGER_REGIMES[regime].phases(plain4(regime)[2])
        assert phase.heads == heads
    assert weights_of(net.head(3)) == []


@pytest.mark.parametrize("regime", ["niti", "niti-local"])
def test_layers_with_weights_have_the_streams_bodies_before_heads(regime):
    _, _, net = plain4(regime)
    for index, layer in enumerate((*weighted(net.bodies), *weighted(net.heads))):
        rng = Xorshift32(7, 1 + index)
        drawn = rng.uniform(layer.weight.numel(), 255) - 127
        assert torch.equal(layer.weight.flatten().int(), drawn)
        assert int(layer.random_state) == rng.word
    assert len(weighted(net.heads)) == 3


def test_in_one_step_weights_of_8_bits_move_by_mu_and_those_of_4_by_4_bits_less():
    gradient = Accumulator(torch.tensor([[1000, -300, 255, 4]], dtype=torch.int32), 0)
    edge, inner = Place((1, 4), edge=True), Place((1, 4))
    weights = (torch.tensor(w, dtype=torch.int8) for w in ([[10, -126, 0, 5]], [[0, -7, 3, 1]]))
    eight, four = (
        NITI4_JUMP.updated(w, gradient, place, 5, Xorshift32(1)).tolist()
        for w, place in zip(weights, (edge, inner), strict=True)
    )
    assert eight == [[-22, -116, -8, 4]]  # the document's example of mu = 5
    assert four == [[-2, -7, 3, 1]]  # and that of mu = 1


def test_a_loss_has_a_byte_for_each_logit_and_one_for_each_error():
    found = plain4("niti", batch=2)[1]
    (index,) = [i for i, o in enumerate(found.operations) if o.name == "classifier.head.loss forward"]
    touched = {*found.operations[index].reads, *found.operations[index].writes}
    sizes = {name: found.tensors[name].bytes for name in touched}
    logits, errors = "classifier.linear.logits.out", "classifier.head.loss.out"
    assert sizes == {logits: 2 * 3, errors: 2 * 3, "batch.labels": 2}


def test_a_generator_runs_on_from_step_to_step():
    _, _, net = plain4("niti4-jump")
    layer = net.body(1).layers[0]
    rng, (phase,) = Xorshift32.at(int(layer.random_state)), INTEGER_REGIMES["niti4-jump"].phases(net)
    images = torch.arange(128).to(torch.uint8).view(2, 1, 8, 8)
    net.train()
    for _ in range(3):
        INTEGER_REGIMES["niti4-jump"].step(net, phase, images, torch.tensor([0, 2]))
        rng.draw(layer.weight.numel())
        assert int(layer.random_state) == rng.word
