"""A label takes as many whole bytes as the number of classes needs, in every regime and program."""

from dataclasses import replace

import pytest
from tiny import NETWORK

from blockwise import models
from blockwise.studies.real_step import compare
from devices.network import Block, Network
from devices.network.ops import Linear
from devices.program.accountings import DEVICE, PYTORCH
from devices.program.regimes import INTEGER_REGIMES, REGIMES, Step, schedule

BYTES = {2: 1, 256: 1, 257: 2, 1_000: 2, 65_536: 2, 65_537: 4}
"""Class numbers start at 0: the last of 256 classes is 255, which a byte holds."""


def with_classes(classes: int) -> Network:
    """The three layers with so many logits; convolutions alone, which integer regimes train too."""

    def widened(layers):
        kept = [layer for layer in layers if layer.kind != "batch_norm"]
        sources = {layer.name: layer.inputs[0] for layer in layers if layer.kind == "batch_norm"}
        kept = [replace(x, inputs=tuple(sources.get(i, i) for i in x.inputs)) for x in kept]
        return tuple(
            replace(x, shape=(classes,), op=Linear(x.filter_size, classes, bias=True))
            if isinstance(x.op, Linear)
            else x
            for x in kept
        )

    return Network(
        NETWORK.in_shape, tuple(Block(b.name, widened(b.layers), widened(b.head)) for b in NETWORK.blocks)
    )


def label_bytes(regime: str, classes: int, batch: int, **step: object) -> set[int]:
    program = schedule(regime, with_classes(classes), Step(batch, **step))
    return {t.bytes for name, t in program.tensors.items() if name.startswith("batch.labels")}


@pytest.mark.parametrize("classes", BYTES)
@pytest.mark.parametrize("regime", [*REGIMES, *INTEGER_REGIMES])
def test_a_batch_of_labels_takes_the_bytes_its_classes_need(regime, classes):
    images = 1 if regime == "bp-micro" else 3  # one micro-batch at a time
    assert label_bytes(regime, classes, 3) == {images * BYTES[classes]}
    assert label_bytes(regime, classes, 1) == {BYTES[classes]}


@pytest.mark.parametrize("classes", [2, 257, 65_537])
def test_labels_in_pytorch_are_what_torch_holds_eight_bytes(classes):
    assert label_bytes("local", classes, 3, table=PYTORCH) == {24}
    assert label_bytes("local-resident", classes, 3, table=PYTORCH) == {24}


def test_a_board_in_float_counts_the_same_labels():
    assert label_bytes("local-resident", 257, 3, table=DEVICE) == {6}


def test_labels_of_300_classes_equal_the_storages_of_a_real_step():
    found = compare("local", models.build("cnn", (1, 8, 8), 300, 4), "layers", "gap", 3)
    assert found.scheduled == found.counted


def test_the_classes_of_a_network_are_its_logits_whatever_its_heads_are():
    chain = models.build("cnn", (1, 8, 8), 300, 4)
    for head in ("gap", "sim", "predsim"):
        assert chain.describe(blocks="layers", head=head).classes == 300
