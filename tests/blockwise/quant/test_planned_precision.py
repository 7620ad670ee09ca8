"""What is planned is what is trained: the widths and places of quantizers, layer by layer."""

import copy
from functools import cache

import own_modules as own
import pytest
import torch
from small_networks import fitting
from tiers import shown, tiered
from torch import nn

from blockwise import models, quant
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.quant.layers import Shared, Signed
from blockwise.quant.methods.bnn import Sign
from blockwise.training import REGIMES
from devices.errors import InputError
from devices.network import Layer
from devices.network.bits import Bits
from devices.network.ops import Quantize
from devices.network.precision import with_quantizers
from devices.program.regimes import Step

pytestmark = pytest.mark.slow

TORCHVISION = ("mobilenet_v2", "resnet18", "efficientnet_b0")
OWN = {"functions": own.Functions, "residuals": own.Residuals, "branches": own.Branches, "row": own.row}
FLOAT = 32
TRAINED = [
    name for name, method in quant.METHODS.items() if method.levels != "float" and not method.after_training
]
"""Methods that quantize in training."""
Precisions = dict[str, tuple[object, ...]]
"""Layer -> what it is, its bits, and for a quantizer whether it has both signs."""


@cache
def built(name: str) -> tuple[models.Chain, tuple[Layer, ...]]:
    """A small network and its layers; torchvision's have their own width."""
    torch.manual_seed(0)
    if name in TORCHVISION:
        chain = models.build(f"torchvision:{name}", (3, 32, 32), 4, trained=True)
    elif name in OWN:
        chain = models.from_module(OWN[name](), (1, 8, 8))
    else:
        chain = models.build(name, fitting(name, (1, 8, 8)), 10, 2)
    return chain, chain.describe(blocks="stages", head="gap").layers


def planned(layers: tuple[Layer, ...], bits: Bits) -> Precisions:
    found: Precisions = {}
    for layer in with_quantizers(layers, bits, {}):
        if isinstance(layer.op, Quantize):
            found[layer.name] = ("input", bits.activation_of(layer), layer.op.signed)
        elif layer.op.makes_codes:
            found[layer.name] = ("activation", bits.activation_of(layer))
        elif layer.weights:
            found[layer.name] = ("weights", bits.weight_of(layer))
    return found


def trained(chain: models.Chain, layers: tuple[Layer, ...]) -> Precisions:
    """The same, read off the modules. A shared quantizer is told under the first layer that has it."""
    found: Precisions = {}
    shared: set[int] = set()
    for layer in layers:
        if not (layer.weights or layer.op.makes_codes):
            continue
        module = chain.units.get_submodule(layer.name)
        if layer.weights:
            own = getattr(module, "input_quantizer", None)
            if own is not None and id(own) not in shared:
                shared.add(id(own))
                inner = own.quantizer if isinstance(own, Shared) else own
                found[f"{layer.name}.input"] = "input", inner.bits, isinstance(inner, Signed | Sign)
            weights = getattr(module, "weight_quantizer", None)
            found[layer.name] = "weights", weights.bits if weights is not None else FLOAT
        else:
            quantizer = getattr(module, "quantizer", None)
            found[layer.name] = "activation", quantizer.bits if quantizer is not None else FLOAT
    return found


def trained_values(chain: models.Chain, layer: Layer) -> int:
    """Elements that the optimizer steps beside the latent weights."""
    module = chain.units.get_submodule(layer.name.removesuffix(".input"))
    if isinstance(layer.op, Quantize):
        quantizer = module.input_quantizer
    else:
        quantizer = getattr(module, "weight_quantizer" if layer.weights else "quantizer", None)
    return models.count_parameters(quantizer) if quantizer is not None else 0


def holds_what_is_planned(chain: models.Chain, layers: tuple[Layer, ...], bits: Bits) -> None:
    for layer in with_quantizers(layers, bits, {}):
        if layer.weights or layer.op.makes_codes:
            memory = bits.quantizer_of(layer)
            counted = memory.trained * (layer.code_block if memory.blocks else 1)
            assert counted == trained_values(chain, layer), layer.name


def agree(name: str, method: str, residual: str) -> None:
    scheme = quant.scheme(method)
    widths = scheme.usual_bits("weight"), scheme.usual_bits("activation")
    chain, layers = built(name)
    bits = (
        Bits(FLOAT, FLOAT, FLOAT) if scheme.is_float else Bits(*widths, scheme.edge_bits, residual=residual)
    )
    if not (scheme.is_float or scheme.weight.after_training):
        told = scheme.bits(*widths, residual)
        assert (told.weight, told.activation, told.edge) == (bits.weight, bits.activation, bits.edge)
    converted = quant.quantize(copy.deepcopy(chain), method, residual=residual)
    found = trained(converted, layers)
    if not scheme.weight.after_training:
        holds_what_is_planned(converted, layers, scheme.bits(*widths, residual))
    if widths[1] == 1:  # the quantizer of signs has both, and takes values of one sign too
        found = {key: value[:2] for key, value in found.items()}
        assert {key: value[:2] for key, value in planned(layers, bits).items()} == found, (name, residual)
    else:
        assert planned(layers, bits) == found, (name, method, residual)


@pytest.mark.parametrize("method", shown(quant.METHODS, "fp32", "lsq", "twn", "pq", "lq-net"))
def test_every_built_in_network_is_trained_with_the_precision_that_is_planned(method):
    for name in models.CATALOGUE:
        for residual in ("codes", "float") if models.has_skips(name) else ("codes",):
            agree(name, method, residual)


@pytest.mark.parametrize("name", tiered(TORCHVISION, ("mobilenet_v2",), ("efficientnet_b0",)))
def test_networks_of_torchvision_are_trained_with_the_precision_that_is_planned(name):
    for method in quant.METHODS if name == "resnet18" else ("lsq", "dorefa", "bnn", "ptq-mse", "lsq-plus"):
        for residual in ("codes", "float"):
            agree(name, method, residual)


@pytest.mark.parametrize("name", OWN)
def test_modules_of_ones_own_are_trained_with_the_precision_that_is_planned(name):
    for method in quant.METHODS:
        for residual in ("codes", "float"):
            agree(name, method, residual)


def test_a_network_with_linear_bottlenecks_has_the_quantizers_counted_by_hand():
    """MobileNetV2 at 3 bits: 35 ReLU6, the 17 layers behind a linear bottleneck, and the classifier."""
    chain, layers = built("mobilenet_v2")
    found = planned(layers, quant.scheme("lsq").bits(3, 3)).values()
    assert [sum(x[0] == "activation" for x in found), sum(x[0] == "input" for x in found)] == [35, 18]
    assert sum(x == ("input", 3, True) for x in found) == 17
    assert sum(x == ("input", 8, False) for x in found) == 1
    quantizers = {id(q) for q in quant.quantize(copy.deepcopy(chain), "lsq", 3, 3).modules()
                  if isinstance(q, quant.Quantizer) and q.role == "activation"}  # fmt: skip
    assert len(quantizers) == 35 + 18


@pytest.mark.parametrize("regime", ["bp", "local"])
@pytest.mark.parametrize("name", shown(TORCHVISION, "mobilenet_v2"))
def test_networks_of_torchvision_take_two_quantized_steps(name, regime):
    chain, _ = built(name)
    groups = Anatomy(chain, "gap").cut("stages", Step())
    net = BlockNet(quant.quantize(copy.deepcopy(chain), "lsq", 3, 3), groups, "gap").train()
    procedure = REGIMES[regime]
    (phase,) = procedure.phases(net)
    parameters = [p for p in net.bodies.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.SGD(parameters, lr=0.01)
    for seed in range(2):
        torch.manual_seed(seed)
        loss = procedure.step(net, phase, torch.randn(4, 3, 32, 32), torch.arange(4))
        assert bool(loss.isfinite().all())
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in parameters)
        optimizer.step()
        optimizer.zero_grad()
    moved = [not torch.equal(a, b) for a, b in zip(before, parameters, strict=True)]
    assert sum(moved) > 0.9 * len(moved)


# ------------------------------------------------------- quantizers of floats


def test_values_of_both_signs_are_quantized_by_sign_and_magnitude():
    signed = quant.scheme("lsq").floats(3, signed=True)
    with torch.no_grad():
        signed.magnitude.step.fill_(0.5)
        signed.magnitude.set_up(torch.ones(1))
        signed.magnitude.step.fill_(0.5)
    x = torch.tensor([-9.0, -1.3, -0.2, 0.0, 0.2, 0.3, 1.3, 9.0], requires_grad=True)
    y = signed(x)
    assert y.tolist() == [-1.5, -1.5, 0, 0, 0, 0.5, 1.5, 1.5]  # 3 bits: -3 .. 3 steps
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    assert signed.bits == 3


def test_several_readers_of_floats_read_codes_that_are_made_once():
    calls = []

    class Counting(quant.METHODS["dorefa"].activation):
        def quantize(self, x):
            calls.append(x)
            return super().quantize(x)

    shared = Shared(Counting(3, "activation"), 2)
    for x in torch.rand(2, 4):
        assert shared(x) is shared(x)
    assert len(calls) == 2
    copy.deepcopy(shared)  # nothing of a step stays


class TwoConvolutions(nn.Module):
    """conv -> conv: the second one reads sums of both signs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1)
        self.relu, self.last = nn.SiLU(), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.last(self.relu(self.second(self.first(x))))


def test_a_convolution_behind_another_one_quantizes_its_input_with_both_signs():
    model = quant.quantize(TwoConvolutions(), "lsq", 3, 3)
    assert model.first.input_quantizer is None
    assert isinstance(model.second.input_quantizer, Signed)
    assert (model.second.input_quantizer.bits, model.relu.quantizer.bits) == (3, 8)
    assert model.last.input_quantizer is None
    x = torch.linspace(-4, 4, 9)
    y = model.relu(x)
    assert y.min() == 0  # what a SiLU leaves below zero is read as zero
    half = model.relu.quantizer.step.item() / 2 + 1e-6
    torch.testing.assert_close(y, nn.functional.silu(x).relu(), atol=half, rtol=0)


def test_what_cannot_be_replaced_is_refused_and_nothing_is_converted():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.last(nn.functional.relu(self.first(x)))

    model = Functional()
    with pytest.raises(InputError, match="got the function relu"):
        quant.quantize(model, "lsq", 3, 3)
    assert type(model.first) is nn.Linear


@pytest.mark.parametrize("method", ["lsq", "dorefa", "lq-net"])
def test_a_network_of_leaky_relus_is_trained_with_the_precision_that_is_planned(method):
    style = models.Style("leaky-relu", 0.1)
    chain = models.build("vgg8b", (1, 8, 8), 10, 2, style=style)
    layers = chain.describe(blocks="stages", head="gap").layers
    bits = quant.scheme(method).bits(3, 3)
    found = trained(quant.quantize(chain, method, 3, 3), layers)
    assert planned(layers, bits) == found
    assert list(found.values()).count(("input", 3, True)) == 6  # all that read what a leaky ReLU leaves
    chain(torch.randn(4, 1, 8, 8)).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in chain.parameters())


@pytest.mark.parametrize("method", TRAINED)
def test_quantizers_of_both_signs_and_of_edges_hold_the_values_that_are_planned(method):
    """At the least bits as well, where another method may stand at the edge and before a convolution."""
    scheme = quant.scheme(method)
    chain = models.build("resnet20", (1, 8, 8), 10, 2, style=models.Style("leaky-relu"))
    layers = chain.describe(blocks="stages", head="gap").layers
    for widths in (
        (scheme.usual_bits("weight"), scheme.usual_bits("activation")),
        (scheme.weight.weight_bits[0], scheme.activation.activation_bits[0]),
    ):
        converted = quant.quantize(copy.deepcopy(chain), method, *widths)
        holds_what_is_planned(converted, layers, scheme.bits(*widths))
