"""Convolutions of single places a stride apart, against sums in float64."""

import copy

import pytest
import torch
from torch import Tensor, nn

from blockwise.layers.strided import reads_apart
from blockwise.quant.precision import lower
from blockwise.training.features import in_layout, laid_out

LAYERS = [
    *[nn.Conv2d(channels, 8, 1, 2) for channels in (1, 2, 3, 4, 5, 6, 7, 12)],
    nn.Conv2d(4, 12, 1, (2, 1), bias=False), nn.Conv2d(6, 8, 1, 3, padding="valid"),
    nn.Conv2d(8, 8, 1, 2, groups=2),
]  # fmt: skip


def gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, and gradients of a fixed sum of it: of the input and all parameters."""
    x = x.requires_grad_()
    out = layer(x)
    sides = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape)
    (out * sides).sum().backward()
    return [out, *(g for t in (x, *layer.parameters()) if (g := t.grad) is not None)]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("lowered", [False, True])
def test_in_the_layout_of_trainings_they_have_the_sums_and_gradients_of_float64(layer, lowered):
    torch.manual_seed(0)
    x = torch.randn(32, layer.in_channels, 12, 12)  # multiples of the strides, which are those concerned
    wanted = gradients(copy.deepcopy(layer).double(), x.double())
    own = in_layout(copy.deepcopy(layer))
    if lowered:  # of floats: in bf16
        lower([own], "bf16")
    found = gradients(own, laid_out(x))
    assert len(found) == len(wanted) >= 3
    for one, other in zip(found, wanted, strict=True):
        assert (one.double() - other).norm() <= (2e-2 if lowered else 1e-4) * other.norm()


def test_others_are_left_as_they_are():
    others = [
        nn.Conv2d(16, 8, 1, 2), nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 3, 2), nn.Conv2d(4, 8, 1, 2, padding=1),
        nn.Conv2d(4, 8, (1, 3), 2),
    ]  # fmt: skip
    assert not any(map(reads_apart, others))
    net = in_layout(nn.Sequential(*others, nn.Conv2d(4, 8, 1, 2)))
    assert ["_conv_forward" in vars(layer) for layer in net] == [False] * 5 + [True]
