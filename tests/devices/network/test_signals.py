"""Networks of signals, (C, L), are planned like those of images: no dimension of space is special."""

import pytest
from torch import nn

import devices
from devices.network import IMAGES, LABELS, Block, Layer, Network
from devices.network.ops import CrossEntropy
from devices.network.precision import with_precision
from devices.network.trace import trace
from devices.program.regimes import REGIMES


def network(*modules: nn.Module, shape: tuple[int, ...]) -> Network:
    """Two blocks, cut behind the pool; the first one's head is a linear layer of what the second reads."""
    layers = with_precision(trace(nn.Sequential(*modules), {IMAGES: shape}, "net"))
    pooled = next(i for i, layer in enumerate(layers) if layer.kind == "max_pool") + 1
    read = layers[pooled - 1]
    head = trace(nn.Sequential(nn.Flatten(), nn.Linear(8 * 16, 3)), {read.name: read.shape}, "head")
    logits = head[-1].name, layers[-1].name
    ends = [Layer(f"loss{i}", CrossEntropy(), (name, LABELS), ()) for i, name in enumerate(logits)]
    front = Block("front", layers[:pooled], (*head, ends[0]))
    return Network(shape, (front, Block("back", layers[pooled:], (ends[1],))))


def signals() -> Network:
    return network(
        nn.Conv1d(2, 8, 5, padding=2, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(8, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3),
        shape=(2, 32),
    )  # fmt: skip


def columns() -> Network:
    """The same as images of one pixel's width."""
    return network(
        nn.Conv2d(2, 8, (5, 1), padding=(2, 0), bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.MaxPool2d((2, 1)), nn.Conv2d(8, 8, (3, 1), padding=(1, 0)), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 3), shape=(2, 32, 1),
    )  # fmt: skip


@pytest.mark.parametrize("regime", REGIMES)
def test_a_network_of_signals_holds_what_that_of_images_one_pixel_wide_holds(regime):
    for bits in (3, 32):
        plans = [
            devices.plan(net, "stm32", regime=regime, batch_size=4, weight_bits=bits, activation_bits=bits)
            for net in (signals(), columns())
        ]
        assert plans[0].peak_bytes == plans[1].peak_bytes > 0
        assert plans[0].by_category == plans[1].by_category
        assert plans[0].schedule.macs == plans[1].schedule.macs > 0
