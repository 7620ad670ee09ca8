"""Each operation of networks of one's own, executed on bytes at planned addresses, against the simulation."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from one_step import OneStep
from own_modules import Causal, Compact, NormsFirst, Sines, Volumes
from tiers import quick, shown, tiered
from torch import Tensor, nn
from torch.nn import functional as F

import blockwise
from blockwise import models
from blockwise.layers.norms import NORMS

TOLERANCE = 1e-5
"""Of the length of the update."""
REGIMES = ("bp", "local", "local-resident")
IMAGE, SIGNAL, FEATURES = (2, 8, 8), (3, 16), (12,)

Function = Callable[[nn.Module, Tensor], Tensor]


class Between(nn.Module):
    """A stem, ``function`` of its map, a convolution and a classifier: a block that has the function in it.

    With ``act`` the function's values are codes behind a ReLU; of images, signals or flat features.
    """

    def __init__(
        self, shape: tuple[int, ...], function: Function, out: int = 4, **modules: nn.Module
    ) -> None:
        super().__init__()
        self.function, rank = function, len(shape)
        conv = (nn.Linear, nn.Conv1d, nn.Conv2d)[rank - 1]
        self.stem = conv(shape[0], 4, *[3] * (rank > 1), **{"padding": 1} if rank > 1 else {})
        self.norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[rank - 1](4)
        self.pool = (nn.Identity(), nn.AdaptiveAvgPool1d(1), nn.AdaptiveAvgPool2d(1))[rank - 1]
        self.conv = conv(out, 6, *[1] * (rank > 1))
        self.fc = nn.Linear(6, 3)
        for name, module in modules.items():
            if isinstance(module, tuple):  # the shape of a parameter
                self.register_parameter(name, nn.Parameter(torch.rand(module) + 0.5))
            elif isinstance(module, float):  # a buffer for each channel
                self.register_buffer(name, module + torch.arange(4).view(-1, *[1] * (rank - 1)) / 8)
            else:
                self.add_module(name, module)
        torch.manual_seed(2)
        for module in self.modules():  # a case's were drawn on import, from what other files had left
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        x = self.function(self, self.norm(self.stem(x)))
        return self.fc(torch.flatten(self.pool(F.relu(self.conv(x))), 1))


def gated(m: nn.Module, x: Tensor) -> Tensor:
    x = F.relu(x)
    return x * m.gate(m.excite(F.relu(m.squeeze(F.adaptive_avg_pool2d(x, 1)))))


def last(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return function(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def coordinates(m: nn.Module, x: Tensor) -> Tensor:
    """Coordinate attention (Hou et al. 2021, arXiv 2103.02907)."""
    x = F.relu(x)
    rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).permute(0, 1, 3, 2)
    rows, columns = F.hardswish(m.a(torch.cat([rows, columns], dim=2))).split([8, 8], dim=2)
    return x * torch.sigmoid(m.b(rows)) * torch.sigmoid(m.c(columns.permute(0, 1, 3, 2)))


def squeeze(gate: nn.Module) -> dict[str, nn.Module]:
    return {"squeeze": nn.Conv2d(4, 2, 1), "excite": nn.Conv2d(2, 4, 1), "gate": gate}


IMAGES: dict[str, tuple[Function, dict[str, nn.Module], int]] = {
    "relu6": (lambda m, x: F.relu6(x), {}, 4),
    "relu": (lambda m, x: x.relu(), {}, 4),
    "leaky relu": (lambda m, x: F.leaky_relu(x, 0.2), {}, 4),
    "elu": (lambda m, x: F.elu(x, 0.5), {}, 4),
    "selu": (lambda m, x: F.selu(x), {}, 4),
    "mish": (lambda m, x: m.act(x), {"act": nn.Mish()}, 4),
    "silu": (lambda m, x: F.silu(x), {}, 4),
    "gelu": (lambda m, x: F.gelu(x), {}, 4),
    "gelu by tanh": (lambda m, x: F.gelu(x, approximate="tanh"), {}, 4),
    "hard swish": (lambda m, x: m.act(x), {"act": nn.Hardswish()}, 4),
    "sigmoid": (lambda m, x: torch.sigmoid(x), {}, 4),
    "hard sigmoid": (lambda m, x: F.hardsigmoid(x), {}, 4),
    "tanh": (lambda m, x: x.tanh(), {}, 4),
    "hard tanh": (lambda m, x: F.hardtanh(x), {}, 4),
    "clamp": (lambda m, x: x.clamp(-0.5, 2), {}, 4),
    "squeeze and excite": (gated, squeeze(nn.Sigmoid()), 4),
    "squeeze and excite, hard": (gated, squeeze(nn.Hardsigmoid()), 4),
    "product": (lambda m, x: F.relu(x) * torch.sigmoid(m.other(x)), {"other": nn.Conv2d(4, 4, 1)}, 4),
    "concatenation": (
        lambda m, x: torch.cat([F.relu(m.a(F.relu(x))), F.silu(m.b(F.relu(x)))], dim=1),
        {"a": nn.Conv2d(4, 3, 1), "b": nn.Conv2d(4, 5, 3, padding=1)}, 8,
    ),
    "max pool of a concatenation": (
        # of codes, equal ones of which have an order, and of what reads images: sums of codes may be equal
        # but for the rounding of floats; which of them a gradient goes to would hang on the processor
        lambda m, x: F.max_pool2d(torch.cat([F.relu(m.a(F.relu(x))), x], dim=-3), 2),
        {"a": nn.Conv2d(4, 3, 1)}, 7,
    ),
    "dense": (
        lambda m, x: torch.cat([F.relu(x), m.a(F.relu(m.n(torch.cat([F.relu(x), m.b(F.relu(x))], 1))))], 1),
        {"a": nn.Conv2d(8, 4, 3, padding=1), "b": nn.Conv2d(4, 4, 1), "n": nn.BatchNorm2d(8)}, 8,
    ),
    "depthwise": (
        lambda m, x: F.relu6(m.dw(F.relu6(x))), {"dw": nn.Conv2d(4, 4, 3, 2, padding=1, groups=4)}, 4,
    ),
    "grouped and dilated": (
        lambda m, x: F.relu(m.g(F.relu(x))), {"g": nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2)}, 8,
    ),
    "even kernel of the same size": (
        lambda m, x: F.relu(m.g(F.relu(x))), {"g": nn.Conv2d(4, 4, (4, 2), padding="same")}, 4,
    ),
    "uneven border of a convolution": (
        lambda m, x: F.relu(m.g(F.relu(x))),
        {"g": nn.Conv2d(4, 4, (2, 4), padding="same", padding_mode="circular")}, 4,
    ),
    "reflected border of a convolution": (
        lambda m, x: F.relu(m.g(F.relu(x))),
        {"g": nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")}, 4,
    ),
    "border of a convolution": (
        lambda m, x: F.relu(m.g(F.pad(F.relu(x), (0, 1, 0, 1)))), {"g": nn.Conv2d(4, 4, 3, 2)}, 4,
    ),
    "border of a pool": (lambda m, x: F.max_pool2d(m.border(F.relu(x)), 3, 2),
                         {"border": nn.ZeroPad2d((0, 1, 0, 1))}, 4),
    "reflected border": (lambda m, x: F.relu(m.g(m.border(F.relu(x)))),
                         {"border": nn.ReflectionPad2d(1), "g": nn.Conv2d(4, 4, 3)}, 4),
    "overlapping max pool": (lambda m, x: F.max_pool2d(F.relu(x), 3, stride=2, padding=1), {}, 4),
    "max pool with holes": (lambda m, x: F.max_pool2d(F.relu(x), 2, stride=1, dilation=2), {}, 4),
    "max pool that reaches beyond": (lambda m, x: F.max_pool2d(F.relu(x), 3, ceil_mode=True), {}, 4),
    "adaptive max pool": (lambda m, x: F.adaptive_max_pool2d(F.relu(x), 4), {}, 4),
    "maximum": (lambda m, x: F.relu(x).amax((2, 3), keepdim=True), {}, 4),
    "average pool": (lambda m, x: F.avg_pool2d(F.relu(x), 3, 2, 1, count_include_pad=False), {}, 4),
    "average pool that reaches beyond": (lambda m, x: F.avg_pool2d(F.relu(x), 3, ceil_mode=True), {}, 4),
    "adaptive average pool": (lambda m, x: F.adaptive_avg_pool2d(F.relu(x), (3, 5)), {}, 4),
    "mean": (lambda m, x: F.relu(x).mean(dim=(-2, -1), keepdim=True), {}, 4),
    "mean of rows": (lambda m, x: F.relu(x).mean(3, keepdim=True), {}, 4),
    "reshape": (lambda m, x: F.relu(x).reshape(x.size(0), 16, 4, 4), {}, 16),
    "layer norm": (lambda m, x: F.relu(m.ln(m.g(F.relu(x)))),
                   {"g": nn.Conv2d(4, 4, 3, padding=1), "ln": nn.LayerNorm([4, 8, 8])}, 4),
    "layer norm of rows": (lambda m, x: F.relu(m.ln(m.g(F.relu(x)))),
                           {"g": nn.Conv2d(4, 4, 3, padding=1), "ln": nn.LayerNorm(8)}, 4),
    "group norm": (lambda m, x: F.relu(m.n(m.g(F.relu(x)))),
                   {"g": nn.Conv2d(4, 4, 3, padding=1), "n": nn.GroupNorm(2, 4)}, 4),
    "norm without scale": (lambda m, x: F.relu(m.n(m.g(F.relu(x)))),
                           {"g": nn.Conv2d(4, 4, 1), "n": nn.BatchNorm2d(4, affine=False)}, 4),
    "dropout": (lambda m, x: m.drop(F.relu(x)), {"drop": nn.Dropout(0.3)}, 4),
    "dropout of channels before a pool": (
        lambda m, x: F.max_pool2d(m.drop(F.relu(x)), 2), {"drop": nn.Dropout2d(0.3)}, 4,
    ),
    "sum": (lambda m, x: F.relu(m.g(F.relu(x)) + F.relu(x)), {"g": nn.Conv2d(4, 4, 3, padding=1)}, 4),
    "difference": (lambda m, x: F.relu(m.g(F.relu(x)) - F.relu(x)), {"g": nn.Conv2d(4, 4, 3, padding=1)}, 4),
    "sum with a factor": (
        lambda m, x: F.relu(torch.add(F.relu(x), m.g(F.relu(x)), alpha=0.5)), {"g": nn.Conv2d(4, 4, 1)}, 4,
    ),
    "broadcast sum": (
        lambda m, x: F.relu(m.g(F.relu(x)) + F.silu(m.t(F.relu(x).mean(2, keepdim=True)))),
        {"g": nn.Conv2d(4, 4, (3, 1), padding=(1, 0)), "t": nn.Conv2d(4, 4, (1, 3), padding=(0, 1))}, 4,
    ),
    "sum of a row and a column": (
        lambda m, x: F.relu(x).mean(2, keepdim=True) - F.relu(x).mean(3, keepdim=True), {}, 4,
    ),
    "sum of a channel": (lambda m, x: F.relu(F.relu(x) + m.g(F.relu(x))), {"g": nn.Conv2d(4, 1, 1)}, 4),
    "one place beside each": (
        lambda m, x: torch.cat([F.relu(x), F.relu(m.g(F.adaptive_avg_pool2d(F.relu(x), 1))).expand_as(x)], 1),
        {"g": nn.Conv2d(4, 4, 1)}, 8,
    ),
    "pool of one place beside each": (
        lambda m, x: F.max_pool2d(F.relu(x.mean(3, keepdim=True)).expand(-1, -1, -1, 8), 2), {}, 4,
    ),
    "side by side in rows": (
        lambda m, x: F.relu(m.g(torch.cat([F.relu(x), x.mean(2, keepdim=True)], 2))),
        {"g": nn.Conv2d(4, 4, 3)}, 4,
    ),
    "coordinates": (
        coordinates, {"a": nn.Conv2d(4, 2, 1), "b": nn.Conv2d(2, 4, 1), "c": nn.Conv2d(2, 4, 1)}, 4,
    ),
    "linear layers of rows": (
        lambda m, x: F.relu(x) + m.b(F.gelu(m.a(F.relu(x)))), {"a": nn.Linear(8, 6), "b": nn.Linear(6, 8)}, 4,
    ),
    "square": (lambda m, x: x * x, {}, 4),
    "gate of means and maxima of channels": (
        lambda m, x: x * torch.sigmoid(m.g(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1))),
        {"g": nn.Conv2d(2, 1, 3, padding=1)}, 4,
    ),
    "gate of the largest code": (lambda m, x: F.relu(x) * torch.max(F.relu(x), 1, keepdim=True)[0], {}, 4),
    "numbers": (lambda m, x: F.relu(x * 0.5 + 0.25) * 2, {}, 4),
    "numbers on codes": (lambda m, x: 1 - F.relu(x) / 4, {}, 4),
    "numbers before a norm": (lambda m, x: F.relu(m.n(m.g(F.relu(x)) * 3)),
                              {"g": nn.Conv2d(4, 4, 1), "n": nn.BatchNorm2d(4)}, 4),
    "hard swish written out": (lambda m, x: x * F.relu6(x + 3) / 6, {}, 4),
    "buffers": (lambda m, x: F.relu((x - m.mean) / m.std), {"mean": 0.1, "std": 0.5}, 4),
    "layer scale": (lambda m, x: F.relu(x) + m.gamma * m.g(F.relu(x)),
                    {"gamma": (4, 1, 1), "g": nn.Conv2d(4, 4, 3, padding=1)}, 4),
    "trained summand": (lambda m, x: F.relu(m.g(F.relu(x)) + m.shift),
                        {"shift": (1, 4, 1, 1), "g": nn.Conv2d(4, 4, 3, padding=1, bias=False)}, 4),
    "layer norm over channels": (lambda m, x: F.relu(last(m.ln, m.g(F.relu(x)))),
                                 {"g": nn.Conv2d(4, 4, 3, padding=1), "ln": nn.LayerNorm(4)}, 4),
    "channels last": (
        lambda m, x: F.relu(x) + m.gamma.view(-1, 1, 1) * last(lambda y: m.b(F.gelu(m.a(m.ln(y)))), m.g(x)),
        {"g": nn.Conv2d(4, 4, 3, padding=1, groups=4), "ln": nn.LayerNorm(4), "a": nn.Linear(4, 8),
         "b": nn.Linear(8, 4), "gamma": (4,)}, 4,
    ),
    "halves": (lambda m, x: torch.cat([F.relu(x).chunk(2, 1)[0], F.relu(m.g(F.relu(x)[:, 2:]))], 1),
               {"g": nn.Conv2d(2, 6, 3, padding=1)}, 8),
    "pool of a part": (lambda m, x: F.max_pool2d(F.relu(x)[:, 1:], 2), {}, 3),
    "max pool of a reshape": (lambda m, x: F.max_pool2d(F.relu(x).reshape(x.size(0), 16, 4, 4), 2), {}, 16),
    "shuffle": (
        lambda m, x: m.g(F.relu(x)).view(-1, 2, 4, 8, 8).transpose(1, 2).reshape(-1, 8, 8, 8).relu(),
        {"g": nn.Conv2d(4, 8, 3, padding=1, groups=2)}, 8,
    ),
    "gated linear unit": (lambda m, x: F.glu(m.g(F.relu(x)), dim=1), {"g": nn.Conv2d(4, 8, 3)}, 4),
    "shortcut without parameters": (
        lambda m, x: F.relu(m.g(F.relu(x)) + F.pad(F.relu(x)[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))),
        {"g": nn.Conv2d(4, 6, 3, 2, padding=1)}, 6,
    ),
}  # fmt: skip

FEW = ("silu", "squeeze and excite", "concatenation", "dropout", "channels last", "shuffle")
ALIKE = (
    "difference", "numbers on codes", "numbers before a norm", "hard swish written out", "trained summand",
    "layer norm over channels", "pool of a part", "shortcut without parameters", "gelu by tanh", "hard tanh",
    "clamp", "hard sigmoid", "dense", "reflected border", "adaptive average pool", "adaptive max pool",
    "mean of rows", "layer norm of rows", "buffers",
)  # fmt: skip
"""Of which other cases show a part."""

SIGNALS: dict[str, tuple[Function, dict[str, nn.Module], int]] = {
    "convolution": (
        lambda m, x: F.relu(m.g(F.relu(x))), {"g": nn.Conv1d(4, 8, 5, 2, padding=4, dilation=2, groups=4)}, 8,
    ),
    "max pool": (lambda m, x: F.max_pool1d(F.relu(x), 3, 2, 1), {}, 4),
    "max pool apart": (lambda m, x: F.max_pool1d(F.relu(m.g(F.relu(x))), 2), {"g": nn.Conv1d(4, 4, 3)}, 4),
    "average pool": (lambda m, x: F.avg_pool1d(F.silu(x), 4), {}, 4),
    "adaptive average pool": (lambda m, x: F.adaptive_avg_pool1d(F.relu(x), 5), {}, 4),
    "mean": (lambda m, x: F.relu(x).mean(-1, keepdim=True), {}, 4),
    "sum": (lambda m, x: F.relu(m.g(F.relu(x)) + F.relu(x)), {"g": nn.Conv1d(4, 4, 3, padding=1)}, 4),
    "concatenation": (lambda m, x: torch.cat([F.relu(x), F.relu(m.g(F.relu(x)))], 1),
                      {"g": nn.Conv1d(4, 4, 3, padding=1)}, 8),
    "layer norm": (lambda m, x: F.gelu(m.ln(m.g(F.relu(x)))),
                   {"g": nn.Conv1d(4, 4, 3, padding=1), "ln": nn.LayerNorm([4, 16])}, 4),
    "border": (lambda m, x: F.relu(m.g(F.pad(F.relu(x), (2, 0)))), {"g": nn.Conv1d(4, 4, 3)}, 4),
    "dropout of channels": (lambda m, x: m.drop(F.relu(x)), {"drop": nn.Dropout1d(0.3)}, 4),
    "causal": (lambda m, x: F.relu(m.g(F.relu(x))[:, :, :-2]), {"g": nn.Conv1d(4, 4, 3, padding=2)}, 4),
    "transposed": (lambda m, x: F.relu(x).transpose(1, 2), {}, 16),
    "broadcast sum": (
        lambda m, x: F.relu(m.g(F.relu(x)) + m.t(F.relu(x).mean(2, keepdim=True))),
        {"g": nn.Conv1d(4, 4, 3, padding=1), "t": nn.Conv1d(4, 4, 1)}, 4,
    ),
    "mixed places": (
        lambda m, x: F.relu(x + m.b(F.gelu(m.a(m.n(x.transpose(1, 2)).transpose(1, 2))))),
        {"n": nn.LayerNorm(4), "a": nn.Linear(16, 6), "b": nn.Linear(6, 16)}, 4,
    ),
    "longer signals": (lambda m, x: torch.cat((F.relu(x), m.g(F.relu(x))), -1), {"g": nn.Conv1d(4, 4, 3)}, 4),
    "mean of channels": (lambda m, x: F.relu(x) * torch.sigmoid(x.mean(1)).unsqueeze(1), {}, 4),
}  # fmt: skip

FLAT: dict[str, tuple[Function, dict[str, nn.Module], int]] = {
    "layer norm": (lambda m, x: F.relu(m.ln(m.g(F.relu(x)))),
                   {"g": nn.Linear(4, 4), "ln": nn.LayerNorm(4)}, 4),
    "dropout": (lambda m, x: F.dropout(F.gelu(x), 0.3, m.training), {}, 4),
    "gate": (lambda m, x: F.relu(x) * torch.sigmoid(m.g(F.relu(x))), {"g": nn.Linear(4, 4)}, 4),
}  # fmt: skip


def check(shape: tuple[int, ...], case: tuple[Function, dict[str, nn.Module], int], regime: str) -> None:
    function, modules, out = case
    model = models.from_module(Between(shape, function, out, **modules), shape)
    for method in ("fp32", "lsq", "dorefa"):
        step = OneStep(regime, model, method=method, in_shape=shape, batch=6, micro_batch=3)
        assert step.run() < TOLERANCE, (method, step.worst())
        assert step.flips <= 1e-3 * step.codes


@pytest.mark.slow
@pytest.mark.parametrize("regime", shown(REGIMES, "local-resident"))
@pytest.mark.parametrize("name", tiered(IMAGES, FEW, [name for name in IMAGES if name not in ALIKE]))
def test_an_operation_on_images_is_that_of_the_simulation(name, regime):
    check(IMAGE, IMAGES[name], regime)


@pytest.mark.slow
@pytest.mark.parametrize("regime", shown(REGIMES, "local-resident"))
@pytest.mark.parametrize("name", quick(SIGNALS, "convolution", "max pool"))
def test_an_operation_on_signals_is_that_of_the_simulation(name, regime):
    check(SIGNAL, SIGNALS[name], regime)


@pytest.mark.slow
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("name", FLAT)
def test_an_operation_on_features_is_that_of_the_simulation(name, regime):
    check(FEATURES, FLAT[name], regime)


@pytest.mark.slow
@pytest.mark.parametrize("regime", [*REGIMES, "bp-checkpoint", "bp-best", "local-paged"])
def test_a_step_of_blocks_that_begin_with_norms_is_that_of_the_simulation(regime):
    torch.manual_seed(0)
    model = models.from_module(NormsFirst(3), (1, 8, 8))
    for method, residual in product(("fp32", "lsq", "dorefa"), ("codes", "float")):
        step = OneStep(regime, model, method=method, residual=residual, blocks="layers", batch=6)
        assert step.run() < TOLERANCE, (method, residual, step.worst())


ATTENTIVE = (*REGIMES, "bp-fused", "bp-micro", "bp-checkpoint", "local-paged")


@pytest.mark.slow
@pytest.mark.parametrize("regime", shown(ATTENTIVE, "local-resident", "bp-checkpoint"))
def test_a_step_of_attention_is_that_of_the_simulation(regime):
    torch.manual_seed(0)
    for kind, method in product((Compact, Causal, Sines), ("fp32", "lsq", "dorefa")):
        model = models.from_module(kind(3), (1, 8, 8))
        step = OneStep(regime, model, method=method, blocks="layers", batch=6)
        assert step.run() < TOLERANCE, (kind, method, step.worst())


class BesideImages(nn.Module):
    """The images side by side with what a convolution makes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.behind = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(6, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, F.relu(self.conv(x))], 1)
        return self.fc(F.relu(self.behind(x)).mean((2, 3)))


@pytest.mark.parametrize("method", ["fp32", "lsq"])
def test_images_side_by_side_with_a_map_get_no_gradient_and_the_map_its_own(method):
    torch.manual_seed(0)
    step = OneStep("bp-fused", BesideImages(), method=method, in_shape=IMAGE, blocks="1", head="gap")
    assert step.run() < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("activations", ["lq-net", "dorefa", "pact"])
@pytest.mark.parametrize("model", ["resnet8", "mlp"])
def test_what_is_saved_of_codes_is_what_the_gradient_of_their_own_quantizer_needs(model, activations):
    """At the edge, and of signed values, it may be another one's than in the middle."""
    step = OneStep("bp-fused", model, method="lsq", activation_method=activations)
    assert step.run() < TOLERANCE
    step = OneStep("local", model, method="lsq", activation_method=activations)
    assert step.run() < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_a_step_of_volumes_is_that_of_the_simulation(norm):
    """Norms are replaced, heads stand behind volumes, weights and codes are quantized as those of images."""
    for regime, method in product(("bp", "local", "local-resident", "zo"), ("fp32", "lsq", "lq-net")):
        step = OneStep(regime, Volumes(3), method=method, norm=norm, before=0 if regime == "zo" else 1)
        assert step.run() < TOLERANCE, (regime, method, step.worst())
    for head in ("gap", "pred", "predsim", "lookahead-shared:4"):
        step = OneStep("local", Volumes(3), method="lsq", norm=norm, head=head)
        assert step.run() < TOLERANCE, (head, step.worst())


@pytest.mark.slow
def test_volumes_are_trained_from_their_own_weights_to_better_ones():
    torch.manual_seed(0)
    net = Volumes()
    before = [p.clone() for p in net.parameters()]
    found = blockwise.train(net, regimes=["bp", "local"], epochs=2, head="gap", method="lsq")
    assert all(row.test_accuracy > 0.3 for row in found.regimes)
    assert all(torch.equal(p, was) for p, was in zip(net.parameters(), before, strict=True))
    sizes = {norm: blockwise.plan(net, in_shape=(1, 8, 8), norm=norm, method="fp32") for norm in NORMS}
    batch, again, frozen, none = (sizes[name] for name in ("batch", "batch-recompute", "frozen", "none"))
    assert batch.peak_bytes > again.peak_bytes > frozen.peak_bytes > none.peak_bytes
    assert blockwise.from_module(net, (1, 8, 8)).norm == "batch"
