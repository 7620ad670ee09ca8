"""Skip paths in float: what sums read, what convolutions quantize, and which gradient passes."""

import pytest
import torch
from small_networks import build, fitting
from torch import nn
from torch.nn import functional as F

from blockwise import models, quant
from blockwise.quant.layers import FloatReLU, QuantConv2d, QuantLinear, QuantReLU
from devices.network.precision import with_precision, with_quantizers
from devices.network.trace import links


@pytest.mark.slow
def test_the_ledger_and_the_network_quantize_the_same_tensors_where_skip_paths_are_in_float():
    for model in models.CATALOGUE:
        chain = models.build(model, fitting(model, (1, 8, 8)), 10, 4)
        network = chain.describe(blocks="layers", head="gap")
        bits = quant.scheme("lsq").bits(3, 4, "float")
        counted = {layer.name: layer for layer in with_quantizers(network.layers, bits, network.shapes)}
        quant.quantize(chain, "lsq", 3, 4, "float")
        for path, module in chain.units.named_modules():
            if isinstance(module, QuantConv2d | QuantLinear):
                own = module.input_quantizer
                assert (own is not None) == (f"{path}.input" in counted), path
                assert own is None or own.bits == bits.activation_of(counted[f"{path}.input"]), path
            elif isinstance(module, QuantReLU | FloatReLU):
                width = module.quantizer.bits if isinstance(module, QuantReLU) else 32
                assert width == bits.activation_of(counted[path]), path


def test_a_residual_network_adds_floats_and_convolves_codes():
    model = quant.quantize(build("resnet20", (3, 8, 8)), "dorefa", 3, 2, "float").eval()
    block = model.units["stage1_2"]
    x = 2 * torch.rand(4, 8, 8, 8)
    seen = []
    block.norm2.register_forward_hook(lambda module, inputs, out: seen.append(out))
    block.conv1.weight_quantizer.register_forward_hook(lambda module, inputs, out: seen.append(out))
    out = block(x)
    weight, branch = seen
    codes = (x.clamp(0, 1) * 3).round() / 3
    torch.testing.assert_close(block.conv1(x), F.conv2d(codes, weight, padding=1))
    torch.testing.assert_close(out, (branch + x).relu())  # x as it came, and the sum is not quantized


def test_the_gradient_of_the_skip_path_is_one_whatever_the_quantizer_clips():
    """DoReFa passes none where x is above 1; the skip path does, as autograd finds on the float sum."""
    model = quant.quantize(build("resnet20", (3, 8, 8)), "dorefa", 3, 2, "float")
    block = model.units["stage1_2"]
    x = (2 + torch.rand(2, 8, 8, 8)).requires_grad_()
    block(x).sum().backward()
    assert torch.equal(x.grad, (block(x) > 0).float())


def test_a_sign_keeps_both_signs_behind_a_hard_tanh_in_the_skip_path():
    model = quant.quantize(build("resnet20", (3, 8, 8)), "bnn", 1, 1, "float")
    out = model.units["stem"](torch.randn(4, 3, 8, 8))
    assert (out.min().item(), out.max().item()) == (-1, 1)
    assert out.unique().numel() > 100
    codes = model.units["stage1_1"].conv1.input_quantizer(out)
    assert codes.unique().tolist() == [-1, 1]


@pytest.mark.parametrize("name", ["vgg8b", "mlp", "cnn", "plain4"])
def test_without_residual_sums_there_is_nothing_to_choose(name):
    twins = [quant.quantize(build(name, (1, 8, 8)), "lsq", 3, 3, r) for r in ("codes", "float")]
    x = torch.randn(4, 1, 8, 8)
    assert torch.equal(twins[0](x), twins[1](x))


def test_the_layers_behind_a_pool_of_floats_quantize_their_input():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.relu, self.pool = nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
            self.conv, self.last = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.pool(self.relu(self.first(x)))
            return self.last((self.conv(x) + x).mean((2, 3)))

    layers = {layer.name: layer for layer in with_precision(links(Block(), "block"))}
    assert [name for name, layer in layers.items() if layer.op.makes_codes] == ["relu"]
    assert layers["relu"].precision == layers["pool"].precision == "skip"
    assert [name for name, layer in layers.items() if layer.weights and layer.reads == "skip"] == ["conv"]
