"""Binarized networks: signs, the masked gradient, and latent weights that stay in [-1, 1]."""

import pytest
import torch
from torch import nn

from blockwise import quant
from blockwise.quant.layers import QuantConv2d
from blockwise.quant.methods.bnn import Sign
from blockwise.training.updater import Updater

ROLES = pytest.mark.parametrize("role", ["weight", "activation"])
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])


@ROLES
@TYPES
def test_zero_of_either_sign_is_positive_where_torch_sign_would_give_zero(role, dtype):
    x = torch.tensor([-3.0, -1e-30, -0.0, 0.0, 1e-30, 3.0], dtype=dtype)
    assert quant.make("bnn", 1, role)(x).tolist() == [-1, -1, 1, 1, 1, 1]
    assert torch.sign(x[2:4]).tolist() == [0, 0]


@ROLES
@TYPES
def test_the_gradient_passes_up_to_one_itself_and_not_at_the_next_number(role, dtype):
    """A latent weight clipped to 1 must be able to return."""
    after = 1 + torch.finfo(dtype).eps
    x = torch.tensor([-9, -after, -1, -0.5, 0, 0.5, 1, after, 9], dtype=dtype, requires_grad=True)
    upstream = torch.arange(1, 10, dtype=dtype)
    quant.make("bnn", 1, role)(x).backward(upstream)
    assert x.grad.tolist() == [0, 0, 3, 4, 5, 6, 7, 0, 0]


@ROLES
def test_random_gradients_are_those_of_the_formula(role):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 5, 3, 3, generator=generator, dtype=torch.float64).requires_grad_()
    upstream = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    quant.make("bnn", 1, role)(x).backward(upstream)
    pairs = zip(x.flatten().tolist(), upstream.flatten().tolist(), strict=True)
    assert x.grad.flatten().tolist() == [g if abs(v) <= 1 else 0.0 for v, g in pairs]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "sgd-momentum", "adam"])
def test_latent_weights_are_clipped_after_every_step_and_never_decay(optimizer, fused):
    layer = QuantConv2d(nn.Conv2d(2, 3, 3, bias=False), quant.make("bnn", 1, "weight", (3, 2, 3, 3)))
    nn.init.constant_(layer.weight, 0.9)
    rules = quant.ParameterRules.of(layer)
    updater = Updater(layer.parameters(), optimizer, fused=fused, rules=rules)
    updater.set_learning_rate(0.5)
    upstream = torch.zeros(1, 3, 1, 1)
    upstream[0, 0], upstream[0, 1] = -9, 9  # filter 0 grows, filter 1 falls, filter 2 has no gradient
    for _ in range(3):
        layer(torch.ones(1, 2, 3, 3)).backward(upstream)
        updater.finish_step()
        assert layer.weight.abs().max() <= 1
    assert (layer.weight[0] == 1).all()
    assert (layer.weight[1] < 0).all()
    assert torch.equal(layer.weight[2], torch.full((2, 3, 3), 0.9))


def test_a_packed_filter_is_one_bit_to_a_weight_and_nothing_else():
    weight = torch.tensor([0.5, -0.5, 0.0, -2.0, 1.0, -1.0, -0.1, 0.1, 3.0])
    packed = quant.pack(quant.make("bnn", 1, "weight", (9,)), weight)
    assert packed.codes.tolist() == [0b10010101, 0b1]
    assert packed.stored_bytes == 2


def test_a_network_of_signs_feeds_signs_to_every_layer_but_the_first():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)
    )
    quant.quantize(model, "bnn")
    x = torch.randn(5, 1, 6, 6)
    for layer in model[:2]:
        x = layer(x)
    assert x.unique().tolist() == [-1, 1]
    assert type(model[0]) is nn.Conv2d
    assert type(model[5]) is nn.Linear
    assert torch.equal(model[2].weight_quantizer(model[2].weight).abs(), torch.ones(2, 2, 3, 3))


@pytest.mark.parametrize("residual", ["codes", "float"])
def test_signs_take_the_place_of_a_relu_whatever_its_limits(residual):
    """Behind a ReLU6 every value would be +1, sign(0) among them: a network that answers all images alike."""
    ends = []
    for activation in (nn.ReLU, nn.ReLU6):
        torch.manual_seed(0)
        net = quant.quantize(Residual(activation), "bnn", residual=residual).train()
        found: list[torch.Tensor] = []
        for module in net.modules():
            if isinstance(module, Sign) and module.role == "activation":
                module.register_forward_hook(lambda _, __, out, found=found: found.append(out))
        ends.append(net(torch.randn(8, 1, 8, 8)))
        assert found and all(0.3 < (out > 0).float().mean() < 0.7 for out in found)
    assert torch.equal(*ends)
    assert (ends[0].std(0) > 0).all()


class Residual(nn.Module):
    """Two convolutions, a skip path around the second, and a classifier of averages."""

    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2))
        self.acts = nn.ModuleList(activation() for _ in range(2))
        self.linear = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.acts[0](self.norms[0](self.first(x)))
        x = self.acts[1](self.norms[1](self.second(x)) + x)
        return self.linear(x.mean((2, 3)))
