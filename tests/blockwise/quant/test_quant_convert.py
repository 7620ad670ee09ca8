"""A network quantized as a whole: which layer gets which width, and what stays the same."""

import copy

import pytest
import torch
from small_networks import build, fitting
from torch import nn
from torch.nn import functional as F

from blockwise import models, quant
from blockwise.quant.layers import QuantConv2d, QuantLinear, QuantReLU, Signed
from devices.errors import InputError
from devices.network.bits import Bits

NETWORKS = [("resnet20", (3, 16, 16)), ("vgg8b", (3, 16, 16)), ("mlp", (1, 8, 8)), ("cnn", (1, 8, 8))]
networks = pytest.mark.parametrize(("name", "shape"), NETWORKS)
FLOAT = "float"


def weight_bits(model: nn.Module) -> list[object]:
    """Of every convolution and linear layer, in order."""
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return [m.weight_quantizer.bits if hasattr(m, "weight_quantizer") else FLOAT for m in layers]


def relu_bits(model: nn.Module) -> list[int]:
    return [m.quantizer.bits for m in model.modules() if isinstance(m, QuantReLU)]


@networks
def test_lsq_keeps_first_and_last_layer_at_eight_bits_and_the_rest_at_those_asked_for(name, shape):
    model = quant.quantize(build(name, shape), "lsq", 3, 2)
    first, *inner, last = weight_bits(model)
    assert (first, last) == (8, 8)
    assert set(inner) == {3}


@networks
def test_dorefa_keeps_first_and_last_layer_in_float(name, shape):
    model = quant.quantize(build(name, shape), "dorefa", 3, 2)
    first, *inner, last = weight_bits(model)
    assert (first, last) == (FLOAT, FLOAT)
    assert set(inner) == {3}
    assert set(relu_bits(model)) == {2}


@networks
def test_the_layers_counted_by_hand_are_all_converted(name, shape):
    model = quant.quantize(build(name, shape), "lsq", 3, 3)
    layers = {"resnet20": (20, 19), "vgg8b": (8, 7), "mlp": (4, 3), "cnn": (4, 3)}[name]
    assert (len(weight_bits(model)), len(relu_bits(model))) == layers
    assert not any(type(m) in (nn.Conv2d, nn.Linear, nn.ReLU) for m in model.modules())


@pytest.mark.parametrize(("name", "shape"), [n for n in NETWORKS if n[0] in ("vgg8b", "mlp")])
def test_a_relu_that_feeds_the_last_layer_makes_its_eight_bit_codes(name, shape):
    model = quant.quantize(build(name, shape), "lsq", 3, 2)
    assert relu_bits(model) == [2] * (len(relu_bits(model)) - 1) + [8]
    assert [m.input_quantizer for m in model.modules() if isinstance(m, QuantLinear)][-1] is None


@pytest.mark.parametrize(("name", "shape"), [n for n in NETWORKS if n[0] in ("resnet20", "cnn")])
def test_behind_a_pool_the_last_layer_quantizes_its_own_input_at_eight_bits(name, shape):
    model = quant.quantize(build(name, shape), "lsq", 3, 2)
    assert set(relu_bits(model)) == {2}
    own = [m.input_quantizer for m in model.modules() if isinstance(m, QuantLinear)]
    assert [(q.bits, q.role) for q in own] == [(8, "activation")]


def test_through_a_max_pool_and_a_flatten_codes_pass_to_the_last_layer():
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    model = quant.quantize(nn.Sequential(*layers, nn.Linear(16, 2)), "lsq", 4, 4)
    assert relu_bits(model) == [4, 8]
    assert model[-1].input_quantizer is None


def test_without_a_relu_before_it_the_last_layer_quantizes_its_own_input():
    model = quant.quantize(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), "lsq", 4, 4)
    assert model[0].input_quantizer is None
    assert model[1].input_quantizer.bits == 8


@networks
@pytest.mark.parametrize("method", ["lsq", "dorefa"])
def test_parameters_are_shared_and_keep_their_names_and_order(method, name, shape):
    model = build(name, shape)
    before = dict(model.named_parameters())
    converted = quant.quantize(model, method, 3, 3)
    after = dict(model.named_parameters())
    assert converted is model
    assert all(after[key] is before[key] for key in before)
    assert [key for key in after if key in before] == list(before)
    extra = [key for key in after if key not in before]
    assert all(key.endswith(".step") for key in extra)


def test_lsq_trains_one_step_per_weight_tensor_and_activation():
    # resnet20: 20 weights, 19 ReLUs, and the input of the classifier
    model = build("resnet20", (3, 16, 16))
    count = models.count_parameters(model)
    assert models.count_parameters(quant.quantize(model, "lsq", 3, 3)) == count + 20 + 19 + 1


class UniformNoise(nn.Module):
    """The textbook model of a quantizer: clipping, and noise of up to half a step either way."""

    def __init__(self, quantizer: quant.Quantizer) -> None:
        super().__init__()
        self.step, self.low, self.high = quantizer.step, quantizer.low, quantizer.high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low, high = self.low * self.step, self.high * self.step
        noise = (torch.rand_like(x) - 0.5) * self.step
        return x.clamp(low, high) + torch.where((x > low) & (x < high), noise, 0)


def relative_error(model: nn.Module, x: torch.Tensor, expected: torch.Tensor) -> float:
    with torch.no_grad():
        return float((model(x) - expected).pow(2).mean().sqrt() / expected.std())


@networks
def test_at_eight_bits_the_output_is_that_of_the_float_network_but_for_quantization_noise(name, shape):
    model, x = build(name, shape), torch.randn(16, *shape)
    with torch.no_grad():
        expected = copy.deepcopy(model)(x)
    quant.quantize(model, "lsq", 8, 8)
    error = relative_error(model, x, expected)
    noisy = copy.deepcopy(model)
    for path, module in list(noisy.named_modules()):
        if isinstance(module, quant.Quantizer):
            noisy.set_submodule(path, UniformNoise(module))
    assert error == pytest.approx(relative_error(noisy, x, expected), rel=0.5)
    assert error < 0.5


def test_more_bits_bring_the_output_closer_to_floats():
    model, x = build("resnet20", (3, 16, 16)), torch.randn(16, 3, 16, 16)
    with torch.no_grad():
        expected = copy.deepcopy(model)(x)
    twins = [quant.quantize(copy.deepcopy(model), "lsq", bits, bits) for bits in (1, 2, 4, 6, 8)]
    errors = [relative_error(twin, x, expected) for twin in twins]
    assert errors == sorted(errors, reverse=True)


def test_fp32_leaves_the_network_as_it_is():
    model = build("resnet20", (3, 16, 16))
    modules = list(model.modules())
    assert all(a is b for a, b in zip(quant.quantize(model, "fp32").modules(), modules, strict=True))


def test_a_quantized_convolution_is_torchs_on_quantized_weights():
    for arguments in ({"stride": 2}, {"padding": 1, "bias": False}, {"groups": 2}, {"dilation": 2}):
        conv = nn.Conv2d(4, 6, 3, **arguments)
        x, quantizer = torch.randn(2, 4, 9, 9), quant.make("lsq", 3, "weight")
        y = QuantConv2d(conv, quantizer)(x)
        bare = {key: value for key, value in arguments.items() if key != "bias"}
        torch.testing.assert_close(y, F.conv2d(x, quantizer(conv.weight), conv.bias, **bare))


def test_a_quantized_linear_layer_is_a_matrix_product_of_quantized_operands():
    linear, weights, inputs = nn.Linear(5, 3), quant.make("lsq", 3), quant.make("lsq", 4, "activation")
    x = torch.rand(2, 5)
    y = QuantLinear(linear, weights, inputs)(x)
    torch.testing.assert_close(y, inputs(x) @ weights(linear.weight).T + linear.bias)


@networks
@pytest.mark.parametrize("method", ["lsq", "dorefa"])
@pytest.mark.parametrize("bits", [1, 3])
def test_every_parameter_of_a_quantized_network_gets_a_finite_gradient(method, bits, name, shape):
    model = quant.quantize(build(name, shape), method, bits, bits)
    F.cross_entropy(model(torch.randn(4, *shape)), torch.tensor([0, 1, 2, 3])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_quantized_network_saved_after_use_comes_back_to_the_bit():
    shape = (1, 8, 8)
    x = torch.randn(4, *shape)
    trained = quant.quantize(build("cnn", shape), "lsq", 3, 3).eval()
    expected = trained(x)
    loaded = quant.quantize(models.build("cnn", shape, 10, 8), "lsq", 3, 3).eval()
    loaded.load_state_dict(trained.state_dict())
    loaded(100 * x)  # must not set any step anew
    assert torch.equal(loaded(x), expected)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((0, 3), "weight-bits: got 0, wanted 1 to 8"),
        ((3, 9), "activation-bits: got 9, wanted 1 to 8"),
        ((24, 3), "weight-bits: got 24, wanted 1 to 8"),
        ((3, True), "activation-bits: got True"),
    ],
)
def test_a_wrong_width_is_refused_before_anything_is_converted(widths, message):
    model = build("cnn", (1, 8, 8))
    with pytest.raises(InputError, match=message):
        quant.quantize(model, "lsq", *widths)
    assert weight_bits(model) == [FLOAT] * 4


@pytest.mark.parametrize(
    ("widths", "kinds"), [((32, 32), ()), ((32, 3), (QuantReLU,)), ((3, 32), (QuantConv2d, QuantLinear))]
)
def test_at_32_bits_nothing_is_converted(widths, kinds):
    model = quant.quantize(build("cnn", (1, 8, 8)), "lsq", *widths)
    found = {type(m) for m in model.modules() if isinstance(m, QuantReLU | QuantConv2d | QuantLinear)}
    assert found == set(kinds)


@pytest.mark.parametrize("name", ["lsq", "dorefa"])
@pytest.mark.parametrize("model", models.CATALOGUE)
def test_the_ledger_counts_every_layer_at_the_width_at_which_it_is_trained(name, model):
    chain = models.build(model, fitting(model, (1, 8, 8)), 10, 4)
    network = chain.describe(blocks="layers", head="gap")
    layers = {layer.name: layer for layer in network.layers}
    bits = quant.scheme(name).bits(3, 4)
    quant.quantize(chain, name, 3, 4)
    for path, module in chain.units.named_modules():
        if isinstance(module, QuantReLU):
            assert module.quantizer.bits == bits.activation_of(layers[path]), path
        elif isinstance(module, QuantConv2d | QuantLinear):
            assert module.weight_quantizer.bits == bits.weight_of(layers[path]), path
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            assert bits.weight_of(layers[path]) == 32, path


def test_what_is_quantized_after_the_training_is_planned_in_float():
    assert quant.scheme("ptq-mse").bits(3, 3) == Bits(32, 32, 32)
    assert quant.scheme("lsq").bits(3, 3).weight == 3


@pytest.mark.parametrize(("after", "kept"), [("weight", "activation"), ("activation", "weight")])
def test_so_is_the_one_role_that_is(after, kept):
    roles = {f"{after}_method": "ptq-mse", f"{kept}_method": "lsq"}
    bits = quant.scheme("lsq", **roles).bits(3, 3)
    usual = quant.scheme("lsq").bits(3, 3)
    assert (getattr(bits, after), getattr(bits, kept)) == (32, 3)
    memory = "activations" if kept == "activation" else "weights"
    assert getattr(bits, memory) == getattr(usual, memory)
    floats = quant.scheme("ptq-mse", weight_bits=32).bits(32, 3)
    assert (floats.weight, floats.activation) == (32, 32)


def test_magnitudes_have_no_offset_so_that_values_of_both_signs_keep_their_bits():
    """Behind a sign LSQ+ would have 0 and plus and minus its offset: a level too many."""
    found = quant.scheme("lsq-plus").floats(3, signed=True)
    x = torch.randn(4000)
    found(x)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.05)
    levels = found(x).unique()
    assert len(levels) <= 7 and torch.equal(levels, -levels.flip(0))


def test_what_quantizes_after_the_training_needs_a_bit_beside_the_sign():
    with pytest.raises(InputError, match="got 2 for values of both signs, wanted at least 3"):
        quant.scheme("ptq-mse").floats(2, signed=True)


def test_float_weights_can_stand_beside_activations_that_are_codes():
    """The convolution's input is quantized though its weight is not."""
    plan = quant.scheme("lsq", weight_method="fp32")
    model = quant.quantize(build("resnet20", (3, 8, 8)), plan, 32, 2, "float")
    conv = model.units["stage1_2"].conv1
    assert conv.input_quantizer.bits == 2
    x = torch.rand(2, 8, 8, 8)
    torch.testing.assert_close(conv(x), F.conv2d(conv.input_quantizer(x), conv.weight, padding=1))


def test_averages_of_signs_are_read_with_their_signs():
    """An unsigned quantizer would give the classifier zeros for all that lies below zero."""
    torch.manual_seed(0)
    model = quant.quantize(build("resnet20", (3, 16, 16)), quant.scheme("lsq", None, "bnn"), 3, 1).train()
    (reader,) = (m for m in model.modules() if isinstance(m, QuantLinear))
    read: list[torch.Tensor] = []
    reader.input_quantizer.register_forward_hook(lambda _, given, out: read.extend((*given, out)))
    model(torch.randn(8, 3, 16, 16))
    before, after = read
    assert isinstance(reader.input_quantizer, Signed)
    assert (before < 0).float().mean() > 0.2
    assert torch.allclose(after, before, atol=reader.input_quantizer.magnitude.step.item())


@pytest.mark.parametrize("method", ["lsq", "dorefa", "pact"])
def test_floats_of_both_signs_have_sixteen_bits_where_those_are_asked_for(method):
    quantizer = quant.scheme(method).floats(16, signed=True)
    assert isinstance(quantizer, Signed) and quantizer.bits == 16
    x = torch.linspace(-0.9, 0.9, 51)
    assert torch.allclose(quantizer(x), x, atol=3e-3)  # half of the step that LSQ starts with
