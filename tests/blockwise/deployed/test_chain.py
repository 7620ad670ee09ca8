"""The steps of a file give the scores of the network that they were made of, to the bit."""

from collections import Counter

import own_modules as own
import pytest
import torch
from deployed_files import images, normalize, predicted, settled, written
from inner import inner
from tiers import quick, tiered
from tilted import Tilted, TiltedOp
from torch import nn

import blockwise
from blockwise import models, quant
from blockwise.deployed.chain import Steps
from blockwise.deployed.steps import ONE, SEVERAL
from devices.errors import InputError
from devices.network import ops

SHAPE = (1, 8, 8)
WIDTHS = {"cnn": 4, "cnn1d": 4, "mlp": 8, "resnet20": 4, "plain4": 4, "vgg8b": 8}


class Borders(nn.Module):
    """Whatever lies outside of a map: zeros on one side only, reflections, windows that reach beyond."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(1, 4, 4, padding="same")
        self.mirror = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect", dilation=1, groups=2)
        self.pool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
        self.pad, self.mean = nn.ZeroPad2d((1, 0, 2, 1)), nn.AvgPool2d(2, 2, 1, count_include_pad=False)
        self.norm, self.act = nn.GroupNorm(2, 4), nn.Hardswish()
        self.gate, self.sigmoid = nn.Conv2d(4, 4, 1), nn.Hardsigmoid()
        self.spread = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.mirror(self.same(x))))
        x = self.pad(self.pool(x))
        x = x * self.sigmoid(self.gate(self.spread(x)))
        return self.head(self.mean(torch.cat([x, x], 1)))


class Rearranged(nn.Module):
    """A norm over channels, a layer scale, constants, parts of a map, and channels in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(1, 8, 3, padding=1), nn.LayerNorm(8), nn.GELU()
        self.gamma = nn.Parameter(torch.linspace(0.5, 2, 8).view(8, 1, 1))
        self.mix, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        first, second = x.chunk(2, 1)
        x = torch.cat([second, first], 1) * self.gamma
        x = x.reshape(x.size(0), 2, 4, 8, 8).transpose(1, 2).reshape(x.size(0), 8, 8, 8)
        x = self.act(self.mix(2 * x[:, :, 1::2, :6] - 0.5))
        return self.head(x.mean((2, 3)))


def borders() -> nn.Module:
    net = Borders()
    net(torch.zeros(2, *SHAPE))
    return net


class Activations(nn.Module):
    """One behind the other."""

    def __init__(self) -> None:
        super().__init__()
        kinds = (
            nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.Tanh(), nn.Sigmoid(), nn.Hardtanh(-0.5, 2), nn.ReLU6(),
            nn.LeakyReLU(0.2), nn.ELU(0.5), nn.SELU(), nn.Mish(), nn.ReLU(), nn.LayerNorm(16),
            nn.Dropout(0.5), nn.Identity(),
        )  # fmt: skip
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 16),
            *(layer for kind in kinds for layer in (kind, nn.Linear(16, 16, bias=False))), nn.Linear(16, 10),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


def check(chain: models.Chain, path) -> Steps:
    """Both readers of the file give the network's scores; the steps say the shapes of what they make."""
    chain = settled(chain)
    constants, samples = normalize(chain.in_shape[0]), images(8, chain.in_shape)
    with torch.no_grad():
        expected = chain(constants(samples))
    steps = Steps(chain, constants)
    found = written(path / "net.safetensors", steps)
    assert torch.equal(found.program()(samples), expected)
    assert torch.equal(predicted(path / "net.safetensors", samples), expected)
    assert steps.steps[-1].shape == tuple(expected.shape[1:])
    state = {k: v for k, v in chain.units.state_dict().items() if "quantizer" not in k and v.ndim}
    weights = found.weights()
    assert {name for name in weights if weights[name].ndim} == set(state)
    coded = {step.tensors["weight"] for step in steps.steps if step.codes}
    assert all(torch.equal(weights[name], state[name]) for name in state if name not in coded)
    return steps


OWN = {"Borders": borders, "Activations": Activations, "Rearranged": Rearranged} | {
    name: getattr(own, name) for name in ("Functions", "Residuals", "Branches")
}


@pytest.mark.parametrize("name", quick(OWN, "Activations", "Rearranged"))
def test_own_networks_in_float_and_in_codes(name, tmp_path):
    for method in ("fp32", "lsq"):
        with inner(method=method):
            torch.manual_seed(0)
            chain = blockwise.from_module(OWN[name](), SHAPE)
            check(quant.quantize(chain, method), tmp_path)


def test_a_residual_network_has_its_sums_and_shortcuts_and_one_quantizer_for_each_activation(tmp_path):
    steps = check(quant.quantize(models.build("resnet20", (3, 8, 8), 10, 4), "lsq"), tmp_path)
    found = Counter(step.op for step in steps.steps)
    assert found["add"] == 9
    assert found["pad"] == found["max_pool2d"] == 2  # the shortcuts between stages
    assert found["quantize"] == 20
    widths = Counter(step.options["bits"] for step in steps.steps if step.op == "quantize")
    assert widths == {3: 19, 8: 1}  # what the classifier reads is an edge
    sums = next(step for step in steps.steps if step.op == "add")
    assert sums.inputs == ("stage1_1.norm2", "stem.relu")


def test_geometry_is_that_of_the_layers(tmp_path):
    net = nn.Sequential(
        nn.Conv1d(2, 4, 5, 2, 3, 2, 2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(4 * 9, 3)
    )
    steps = check(blockwise.from_module(net, (2, 40)), tmp_path).steps
    conv = next(step for step in steps if step.op == "conv1d")
    assert conv.options == {"stride": [2], "padding": [3], "dilation": [2], "groups": 2}
    assert conv.shape == (4, 19)
    assert next(step for step in steps if step.op == "max_pool1d").options["kernel_size"] == [2]


METHODS = [name for name in quant.METHODS if name != "fp32"]
OF_A_KIND = ("dorefa", "lsq-plus", "bnn", "lq-net", "apot", "pq", "ptq-mse")
"""Their weights and activations are told in ways of their own."""


@pytest.mark.parametrize("method", tiered(METHODS, (), OF_A_KIND))
def test_every_method(method, tmp_path):
    check(quant.quantize(models.build("cnn", (1, 8, 8), 10, 4), method), tmp_path)


@pytest.mark.parametrize("method", tiered(METHODS, (), ("lsq", "bnn")))
def test_floats_beside_the_codes_of_every_method(method, tmp_path):
    check(quant.quantize(models.build("resnet20", (1, 8, 8), 10, 4), method, residual="float"), tmp_path)


@pytest.mark.parametrize("norm", quick(["group", "frozen", "none", "batch-recompute"], "frozen"))
def test_every_norm(norm, tmp_path):
    check(quant.quantize(models.build("cnn", (1, 8, 8), 10, 4, norm), "lsq"), tmp_path)


@pytest.mark.parametrize(
    "name", quick(["cnn1d", "ds-cnn", "mobilenet-0.25", "mcunet-5fps", "vgg8b"], "cnn1d")
)
def test_networks_by_name(name, tmp_path):
    shape = (2, 64) if name == "cnn1d" else (3, 32, 32)
    check(quant.quantize(models.build(name, shape, 10, WIDTHS.get(name)), "lsq"), tmp_path)


def test_every_operation_of_a_body_is_one_of_a_file_or_is_left_out():
    elsewhere = (ops.Quantize, ops.ShiftedNorm, ops.SpatialStd)  # a plan's, a plan's, and of local heads
    lacking = [
        op.__name__ for op in ops.OPS
        if not (op.is_loss or op.ends or op.drops or op in elsewhere or {*op.__mro__} & {*ONE, *SEVERAL})
    ]  # fmt: skip
    assert lacking == []


def test_a_frozen_norm_taken_from_a_file_has_its_constants(tmp_path):
    chain = settled(models.build("cnn", (1, 8, 8), 10, 4, "frozen"))
    found = written(tmp_path / "net.safetensors", Steps(chain, normalize(1))).weights()
    ready = {name: t for name, t in chain.units.state_dict().items() if name.endswith(".ready")}
    assert len(ready) == 3
    assert all(bool(found[name]) for name in ready)


def test_an_operation_from_outside_is_written_by_its_name_and_has_to_be_brought(tmp_path):
    ops.register(TiltedOp)
    try:
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Tilted(0.25), nn.Linear(8, 10))
        chain = settled(blockwise.from_module(net, SHAPE))
        steps = Steps(chain, normalize(1))
    finally:
        ops.OPS.remove(TiltedOp)
    found, samples = written(tmp_path / "net.safetensors", steps), images(4, SHAPE)
    with pytest.raises(InputError, match="got the operation 'tilted'"):
        found.program()
    assert steps.foreign == ("tilted",)
    again = found.program({"tilted": lambda x, share: Tilted(share)(x)})
    with torch.no_grad():
        assert torch.equal(again(samples), chain(normalize(1)(samples)))


def test_a_norm_that_needs_the_batch_is_refused_by_name():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(),
                        nn.Linear(144, 10))  # fmt: skip
    with pytest.raises(InputError, match="got a norm by the statistics of each batch"):
        Steps(blockwise.from_module(net, SHAPE).eval(), normalize(1))
