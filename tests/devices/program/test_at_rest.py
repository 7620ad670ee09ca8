"""What passes as it is deployed within a training step: beside PyTorch's step from the same state."""

from collections.abc import Callable

import own_modules as own
import pytest
import torch
from one_step import OneStep
from torch import Tensor, nn
from torch.nn import functional as F

import blockwise
from devices.errors import InputError
from devices.program.operation import layers_of


def unit(inputs: int, outputs: int, stride: int = 1, *, active: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if active else []))


class Between(nn.Module):
    """Three blocks, of which the first may end in a map that its reader scales and shifts."""

    def __init__(self, *end: nn.Module) -> None:
        super().__init__()
        self.first = nn.Sequential(unit(1, 4), unit(4, 6, 2, active=False), *end)
        self.second, self.third, self.head = unit(6, 6), unit(6, 8, 2), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.third(self.second(self.first(x))).mean((2, 3)))


class Dropped(nn.Module):
    """A dropout of what a view or a mean makes."""

    def __init__(self, made: Callable[[Tensor], Tensor], features: int) -> None:
        super().__init__()
        self.conv, self.drop, self.made = nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.3), made
        self.inner, self.head = nn.Linear(features, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.inner(self.drop(self.made(self.conv(x))))))


@pytest.mark.parametrize("method", ["fp32", "lsq"])
@pytest.mark.parametrize("regime", ["local", "local-paged"])
@pytest.mark.parametrize(
    "end", [(), (nn.ReLU(),), (nn.ReLU(), nn.Dropout(0.3))], ids=["norm", "activation", "dropout"]
)
def test_a_frozen_block_between_two_that_learn_reads_what_the_first_one_made(end, regime, method):
    asked = {"blocks": "each", "train": "first*,classifier*", "head": "gap"}
    step = OneStep(regime=regime, model=Between(*end), method=method, **asked)
    assert step.run() < 1e-5 and step.flips == 0


VIEWS: dict[str, Callable[[], nn.Module]] = {
    "a flatten": lambda: Dropped(lambda x: F.relu(x).flatten(1), 256),
    "a flatten of floats": lambda: Dropped(lambda x: F.silu(x).flatten(1), 256),
    "a mean": lambda: Dropped(lambda x: F.relu(x).mean((2, 3)), 4),
}  # fmt: skip


@pytest.mark.parametrize("method", ["fp32", "lsq"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_dropout_may_stand_behind_a_view(name, method):
    torch.manual_seed(0)
    step = OneStep(regime="bp", model=VIEWS[name](), method=method, blocks="each", head="gap")
    assert step.run() < 1e-5 and step.flips == 0


@pytest.mark.parametrize("regime", ["bp", "bp-fused", "local"])
def test_a_gradient_passes_a_dropout_that_rests_as_the_values_did(regime):
    """Where biases alone are trained it drops nothing."""
    torch.manual_seed(0)
    asked = {"method": "fp32", "blocks": "each", "train": "bias", "head": "gap"}
    step = OneStep(regime=regime, model=VIEWS["a flatten"](), **asked)
    assert step.run() < 1e-5
    assert not [x for x in step.plan.operations if x.layer.endswith(".drop")]


def unkept() -> nn.Sequential:
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    layers = nn.Conv2d(1, 4, 3, padding=1), norm, nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(144, 3))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"regime": "bp", "train": "last:1"}, "frozen layers"),
        ({"regime": "local", "train": "head"}, "frozen layers"),
        ({"regime": "local-resident"}, "finished blocks"),
        ({"regime": "local", "distill": "2", "head": "lookahead:4"}, "--distill"),
        ({"regime": "bp"}, ""),
        ({"regime": "local"}, ""),
        ({"regime": "bp", "train": "bias"}, ""),
    ],
)
def test_a_batch_norm_that_keeps_no_statistics_cannot_rest(asked, why):
    options = {
        "in_shape": (1, 8, 8),
        "classes": 3,
        "batch_size": 4,
        "blocks": "layers",
        "norm": "batch",
        **asked,
    }
    if not why:
        assert blockwise.plan(unkept(), "stm32", **options).peak_bytes
        return
    with pytest.raises(InputError, match=f"the batch norm .* without running statistics, with {why}, wanted"):
        blockwise.plan(unkept(), "stm32", **options)


@pytest.mark.parametrize("regime", ["local-resident", "local-paged", "zo", "bp-checkpoint"])
@pytest.mark.parametrize("kind", [own.Mixed, own.Compact, own.NormsFirst])
def test_what_looks_at_several_elements_first_has_sums_stored(kind, regime):
    """A norm of a group or a softmax would make each sum as often as it looks, behind skip paths too."""
    plan = blockwise.plan(kind(), in_shape=(1, 8, 8), regime=regime, blocks="layers").schedule
    for operation in plan.operations:
        layer = plan.layers.get(operation.layer)
        if layer is not None and (layer.op.norm_groups or layer.op.by_row):
            read = {name for _, operand in operation.operands for name in layers_of(operand)}
            assert not [name for name in read if plan.layers[name].op.accumulates], operation.name
