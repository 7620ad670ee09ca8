"""Operations: their geometry read off traced modules, and what is counted by it."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from blockwise.layers.norms import ConstantNorm, RecomputedBatchNorm2d
from blockwise.layers.scaled import ChannelNorm, ChannelScale
from blockwise.models.parts import PadShortcut
from devices.errors import InputError
from devices.network import IMAGES, Layer, ops
from devices.network.trace import trace


def layer_of(module: nn.Module, shape: tuple[int, ...]) -> Layer:
    (layer,) = trace(nn.Sequential(module), {IMAGES: shape}, "net")
    return layer


MODULES = [
    (nn.Conv1d(3, 8, 5, stride=2, padding=1, bias=False), (3, 20)),
    (nn.Conv2d(4, 6, (3, 5), (2, 1), (1, 0), (1, 2), groups=2), (4, 9, 21)),
    (nn.Conv2d(4, 4, 3, padding="same", dilation=2, groups=4), (4, 8, 8)),
    (nn.Conv3d(2, 4, 3, padding="valid"), (2, 5, 6, 7)),
    (nn.Linear(12, 5), (12,)),
    (nn.Linear(12, 5, bias=False), (7, 12)),
    (nn.BatchNorm1d(6), (6,)),
    (nn.BatchNorm2d(6, affine=False), (6, 4, 4)),
    (nn.BatchNorm2d(6, track_running_stats=False), (6, 4, 4)),
    (RecomputedBatchNorm2d(6), (6, 4, 4)),
    (nn.GroupNorm(3, 6), (6, 4, 4)),
    (ConstantNorm(6), (6, 4, 4)),
    (ChannelNorm(6), (6, 4, 4)),
    (ChannelNorm(6, affine=False), (6, 20)),
    (ChannelScale(torch.ones(6)), (6, 4, 4)),
    (ChannelScale(torch.ones(6), torch.ones(6)), (6,)),
    (ChannelScale(bias=torch.ones(6)), (6, 20)),
]


@pytest.mark.parametrize(("module", "shape"), MODULES, ids=lambda x: str(x).split("(")[0])
def test_counts_of_an_operation_are_those_of_the_module(module, shape):
    layer = layer_of(module, shape)
    parameters = dict(module.named_parameters())
    norm = not layer.op.accumulates
    weight = 0 if norm else parameters["weight"].numel()
    assert layer.weights == weight
    assert layer.biases == sum(p.numel() for p in parameters.values()) - weight
    assert layer.buffers == sum(b.numel() for b in module.buffers() if b.is_floating_point())
    assert layer.shape == tuple(module.eval()(torch.randn(2, *shape)).shape[1:])
    if not norm:
        assert layer.filter_size == parameters["weight"][0].numel()
        assert layer.kernel == parameters["weight"][0, 0].numel()


@pytest.mark.parametrize(("module", "shape"), MODULES[:6], ids=lambda x: str(x).split("(")[0])
def test_multiply_accumulates_are_those_of_an_output_computed_one_product_at_a_time(module, shape):
    """With all ones the sum of absolute products is their number; zeros around the input are products too."""
    layer = layer_of(module, shape)
    padded = torch.ones(1, *shape)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        pads = module._reversed_padding_repeated_twice
        padded, module = F.pad(padded, pads, value=1.0), unpadded(module)
    with torch.no_grad():
        module.weight.fill_(1)
        if module.bias is not None:
            module.bias.zero_()
        assert layer.macs == int(module(padded).sum())


def unpadded(conv: nn.Module) -> nn.Module:
    return type(conv)(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, 0, conv.dilation, conv.groups
    )


def test_geometry_is_the_module_s_with_a_number_for_every_dimension_of_space():
    square = ops.Conv.square
    assert layer_of(nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 8, 8)).op == square(3, 8)
    assert layer_of(nn.Conv1d(3, 8, 5, 2), (3, 20)).op == square(
        3, 8, 5, stride=2, padding=0, bias=True, rank=1
    )
    assert layer_of(nn.Conv2d(4, 6, (3, 5), padding="same"), (4, 9, 9)).op.padding == (1, 2)
    assert layer_of(nn.MaxPool2d(2), (3, 8, 8)).op == ops.MaxPool.square()
    assert layer_of(nn.MaxPool1d(3, 2, 1), (3, 8)).op == ops.MaxPool((3,), (2,), (1,), (1,))
    assert layer_of(nn.AvgPool2d((2, 4)), (3, 8, 8)).op == ops.AvgPool((2, 4), (2, 4), (0, 0))
    assert layer_of(nn.AdaptiveAvgPool2d((2, None)), (3, 8, 6)).op == ops.AdaptiveAvgPool((2, 6))
    assert layer_of(nn.AdaptiveAvgPool2d(1), (3, 8, 6)).op.is_global
    assert layer_of(PadShortcut(4, 7), (4, 8, 8)).op == ops.Shortcut(2, 1, 2)


def test_limits_slopes_rates_and_constants_come_along():
    shape = (6, 4, 4)
    assert layer_of(nn.ReLU(), shape).op == ops.ReLU()
    assert layer_of(nn.ReLU6(), shape).op == ops.ReLU(high=6.0)
    assert layer_of(nn.Hardtanh(), shape).op == ops.Tanh(hard=True)
    assert layer_of(nn.LeakyReLU(0.2), shape).op == ops.LeakyReLU(0.2)
    assert layer_of(nn.ELU(0.5), shape).op == ops.ELU(0.5)
    selu = layer_of(nn.SELU(), shape).op
    assert F.selu(torch.tensor([-2.0, 3.0])).tolist() == pytest.approx(
        [selu.scale * selu.alpha * math.expm1(-2), 3 * selu.scale]
    )
    with pytest.raises(InputError, match=r"^ELU: got alpha -1, wanted more than 0"):
        layer_of(nn.ELU(-1.0), shape)
    assert [layer_of(m, shape).op.hard for m in (nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid())] == [
        False, True, True,
    ]  # fmt: skip
    assert layer_of(nn.Dropout2d(0.3), shape).op == ops.ChannelDropout(0.3)
    assert layer_of(nn.BatchNorm2d(6, eps=1e-3, momentum=0.2), shape).op == ops.BatchNorm(6, 1e-3, 0.2)
    assert layer_of(nn.GroupNorm(2, 6, eps=1e-3), shape).op == ops.GroupNorm(6, 2, 1e-3)


class Functions(nn.Module):
    def forward(self, x):
        x = F.relu6(F.max_pool2d(x, 3, stride=2, padding=1))
        x = F.leaky_relu(F.avg_pool2d(x, 2, count_include_pad=False), 0.2)
        return torch.cat([x, F.hardswish(x)], dim=1).add(1).flatten(1)


def test_functions_have_the_geometry_of_their_arguments():
    found = [layer.op for layer in trace(Functions(), {IMAGES: (3, 16, 16)}, "net")]
    assert found == [
        ops.MaxPool((3, 3), (2, 2), (1, 1), (1, 1)), ops.ReLU(high=6.0),
        ops.AvgPool((2, 2), (2, 2), (0, 0), False),
        ops.LeakyReLU(0.2), ops.Swish(hard=True), ops.Cat(1), ops.Add(), ops.View(),
    ]  # fmt: skip


def test_every_kind_is_listed_once_but_for_averages_and_has_costs_on_a_device():
    kinds = [op.kind for op in ops.OPS]
    assert sorted(kinds) == sorted([*set(kinds), "avg_pool"])
    assert all("device" in op.costs for op in ops.OPS)


def test_an_operation_that_is_there_already_is_refused():
    class Again(ops.Op):
        kind = "relu"

    class Taken(ops.Op):
        kind = "another"
        modules = ("ReLU6",)

    for op in (Again, Taken):
        with pytest.raises(ValueError, match="there already: ReLU"):
            ops.register(op)
    assert Again not in ops.OPS


def test_a_class_of_the_same_name_elsewhere_is_none_of_ours():
    class ReLU(nn.Module):
        def forward(self, x):
            return x.sinh()

    with pytest.raises(InputError, match="the operation 'sinh'"):
        layer_of(ReLU(), (3, 4, 4))
