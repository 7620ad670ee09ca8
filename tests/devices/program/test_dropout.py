"""Dropout, leaky ReLU and heads before the pool in the ledger, counted by hand."""

import pytest

from devices.network import IMAGES, LABELS, Block, Layer, Network
from devices.network.bits import Bits
from devices.network.ops import (
    AdaptiveAvgPool,
    ChannelDropout,
    Conv,
    CrossEntropy,
    Dropout,
    LeakyReLU,
    Linear,
    MaxPool,
    Op,
    View,
)  # fmt: skip
from devices.program.categories import SAVED_ACTIVATIONS
from devices.program.inference import inference
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule

BATCH = 2
FLOAT = Bits(32, 32, 32)
DROP, LEAKY = ChannelDropout(), LeakyReLU()

# conv 3 -> 8 on 4x4, bias, leaky ReLU, dropout, 2x2 max pool: 2 x 8 x 16 = 256 elements, pooled 64.
MAP, POOLED = 256 * 4, 64 * 4


def network(drop: Op = DROP, read: str = "act", act: Op = LEAKY) -> Network:
    """Two blocks; the first one's head reads the layer ``read``."""
    front = (
        Layer("conv", Conv.square(3, 8, bias=True), (IMAGES,), (8, 4, 4)),
        Layer("act", act, ("conv",), (8, 4, 4)),
        Layer("drop", drop, ("act",), (8, 4, 4)),
        Layer("pool", MaxPool.square(), ("drop",), (8, 2, 2)),
    )
    shape = {layer.name: layer.shape for layer in front}[read]
    head = (
        Layer("head.avg", AdaptiveAvgPool((1, 1)), (read,), (8, 1, 1)),
        Layer("head.flat", View(), ("head.avg",), (8,)),
        Layer("head.linear", Linear(8, 5, bias=True), ("head.flat",), (5,)),
        Layer("head.loss", CrossEntropy(), ("head.linear", LABELS), ()),
    )
    assert shape[0] == 8
    back = (
        Layer("flat", View(), ("pool",), (32,)),
        Layer("linear", Linear(32, 5, bias=True), ("flat",), (5,)),
    )
    loss = (Layer("loss", CrossEntropy(), ("linear", LABELS), ()),)
    return Network((3, 4, 4), (Block("front", front, head), Block("back", back, loss)))


def saved(regime: str, net: Network) -> dict[str, int]:
    tensors = schedule(regime, net, Step(BATCH, "sgd", FLOAT)).tensors.values()
    return {t.name: t.bytes for t in tensors if t.category == SAVED_ACTIVATIONS}


def test_dropout_keeps_a_bit_for_each_element_or_for_each_channel_of_an_image():
    assert saved("bp", network(Dropout()))["drop.kept"] == 256 // 8
    assert saved("bp", network(ChannelDropout()))["drop.kept"] == BATCH * 8 // 8


def test_a_leaky_relu_keeps_the_signs_and_dropout_overwrites_its_map():
    kept = saved("bp", network())
    assert kept["act.sign"] == 256 // 8
    assert kept["pool.argmax"] == 64 * 2 // 8
    assert kept["pool.out"] == POOLED  # the last layer's input
    assert "act.out" not in kept
    program = schedule("bp", network(), Step(BATCH, "sgd", FLOAT))
    (drop,) = (o for o in program.operations if o.name == "drop forward")
    assert drop.reads == ("act.out",)
    assert set(drop.writes) == {"act.out", "drop.kept"}


def test_in_front_of_a_head_the_map_stays_and_dropout_writes_another():
    program = schedule("local", network(), Step(BATCH, "sgd", FLOAT))
    (drop,) = (o for o in program.operations if o.name == "drop forward")
    assert drop.writes == ("drop.out",)
    assert program.tensors["drop.out"].bytes == MAP


def test_a_head_before_the_pool_saves_neither_masks_of_dropout_nor_positions_of_maxima():
    before, behind = saved("local", network(read="act")), saved("local", network(read="pool"))
    assert {"drop.kept", "pool.argmax"}.isdisjoint(before)
    assert {"drop.kept", "pool.argmax"} <= behind.keys()
    assert "act.sign" in before


@pytest.mark.parametrize("regime", ["local", "local-paged", "local-resident"])
def test_what_crosses_to_the_next_block_is_the_pooled_map(regime):
    program = schedule(regime, network(), Step(BATCH, "sgd", FLOAT))
    (last,) = (o for o in program.operations if o.name == "linear forward" and o.block == "back")
    read = [
        program.tensors[name] for name in last.reads if not program.tensors[name].name.startswith("linear")
    ]
    assert [t.bytes for t in read] == [POOLED]
    backward = [o.layer for o in program.operations if o.phase == "backward" and o.layer]
    assert {"act", "conv"} <= set(backward)
    assert {"drop", "pool"}.isdisjoint(backward)


def test_at_rest_dropout_does_nothing():
    program = inference(network(), Step(BATCH, "sgd", FLOAT))
    assert not [o for o in program.operations if o.layer == "drop"]
    finished = schedule("local-resident", network(), Step(BATCH, "sgd", FLOAT))
    assert [o.block for o in finished.operations if o.layer == "drop"] == ["front"]


def test_the_peak_of_a_local_step_by_hand():
    """While the first block pools: the head's map waits beside what was dropped. SGD, images of 8 bits."""
    found = Ledger(schedule("local", network(), Step(BATCH, "sgd", FLOAT)), alignment=1)
    weights = 4 * (216 + 8 + 40 + 5 + 160 + 5)
    images, labels, signs = BATCH * 48, BATCH, 256 // 8
    assert found.peak.operation.name == "pool forward"
    assert found.peak_bytes == weights + images + labels + MAP + signs + MAP + POOLED
