"""Other activations than ReLUs, shuffles, layer norms and factors in C, against PyTorch from one state."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import own_modules as own
import pytest
import torch
from float_checks import checked, prepared
from float_firmware import Compared, compare, predictions
from tiers import shown
from torch import Tensor, nn
from torch.nn import functional as F

from blockwise.firmware.form import check_views
from devices.errors import InputError

TOLERANCE = 1e-5
"""Of the length of the update."""


class Mobile(nn.Module):
    """As MobileNetV3: hard swish, and a factor for each channel by a hard sigmoid."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.down, self.up = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.depth, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Any:
        x = F.hardswish(self.norm(self.stem(x)))
        gate = F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))
        return self.head(F.hardswish(self.norm2(self.depth(x * gate))).mean((2, 3)))


class Shuffled(nn.Module):
    """As ShuffleNetV2: half of the channels goes by, then groups are mixed by views and a transposition."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.branch = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.behind, self.head = nn.Conv2d(8, 6, 1, groups=2), nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Any:
        left, right = F.relu(self.stem(x)).chunk(2, 1)
        x = torch.cat([left, F.relu6(self.branch(right))], 1)
        b, c, h, w = x.shape
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
        return self.head(F.relu(self.behind(x)).mean((2, 3)))


class Pixels(nn.Module):
    """Channels become places, before sums are activated, and places channels that are flattened."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.behind = nn.Conv2d(1, 8, 3, padding=1, stride=2), nn.Conv2d(2, 6, 3, stride=2)
        self.head = nn.Linear(24, classes)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.behind(F.silu(F.pixel_shuffle(self.stem(x), 2))))
        return self.head(F.pixel_unshuffle(F.pad(x, (0, 1, 0, 1)), 2)[:, :, :1, :1].flatten(1))


class Turned(nn.Module):
    """Rows become channels, and what is flattened does not lie as it was."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.behind = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(8, 6, 3)
        self.head = nn.Linear(72, classes)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.behind(F.tanh(self.stem(x)).transpose(1, 2)))
        return self.head(x.permute(0, 3, 1, 2).flatten(1))


class Narrow(nn.Module):
    """As MobileNetV2 without norms: layers without an activation between them, whose sums are often zero."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.depth = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=8, bias=False)
        self.narrow, self.wide = nn.Conv2d(8, 4, 1, bias=False), nn.Conv2d(4, 6, 1, bias=False)
        self.head = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.narrow(F.relu(self.depth(F.relu(self.stem(x)))))
        return self.head(F.relu(self.wide(x)).mean((2, 3)))


class Leaky(nn.Module):
    """As YOLO's: a leaky ReLU, whose largest values are pooled, and a convolution for a classifier."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.behind = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.head = nn.Conv2d(6, classes, 1)

    def forward(self, x: Tensor) -> Any:
        x = F.max_pool2d(F.leaky_relu(self.stem(x), 0.1), 2)
        return self.head(F.leaky_relu(self.behind(x), 0.2)).mean((2, 3))


class Electrodes(nn.Module):
    """As EEGNet: filters along time, one over electrodes for each of them, then depthwise ones; ELUs."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.time, self.norm = nn.Conv2d(1, 4, (1, 5), padding="same", bias=False), nn.BatchNorm2d(4)
        self.space, self.norm2 = nn.Conv2d(4, 8, (8, 1), groups=4, bias=False), nn.BatchNorm2d(8)
        self.depth = nn.Conv2d(8, 8, (1, 3), padding=(0, 1), groups=8, bias=False)
        self.point, self.head = nn.Conv2d(8, 6, 1), nn.Linear(12, classes)

    def forward(self, x: Tensor) -> Any:
        x = F.avg_pool2d(F.elu(self.norm2(self.space(self.norm(self.time(x))))), (1, 2))
        x = F.avg_pool2d(F.elu(self.point(self.depth(x)), 0.5), (1, 2))
        return self.head(x.flatten(1))


class Smooth(nn.Module):
    """One activation behind the other, before a pool and before none."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.third, self.head = nn.Conv2d(4, 4, 1), nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Any:
        x = F.gelu(self.second(F.max_pool2d(F.silu(self.stem(x)), 2)), approximate="tanh")
        x = torch.sigmoid(self.third(x)) * F.hardtanh(x, -0.5, 0.5)
        return self.head(F.gelu(F.mish(F.selu(x))).mean((2, 3)))


class Next(nn.Module):
    """As ConvNeXt: a norm over channels, linear layers of pixels, a trained factor for each channel."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.depth = nn.Conv2d(1, 4, 2, stride=2), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm, self.wide, self.narrow = nn.LayerNorm(4), nn.Linear(4, 8), nn.Linear(8, 4)
        self.factor = nn.Parameter(torch.full((4,), 0.5))
        self.last, self.head = nn.LayerNorm(4), nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.factor * self.narrow(F.gelu(self.wide(y)))
        return self.head(self.last((x + y.permute(0, 3, 1, 2)).mean((2, 3))))


class Before(nn.Module):
    """Norms and activations before their layers: the way around adds to what goes back through them."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.norm, self.inner = (
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 4, 3, padding=1),
        )
        self.free, self.outer = nn.GroupNorm(2, 4, affine=False), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        x = x + self.inner(F.relu(self.norm(x)))
        x = x + self.outer(F.leaky_relu(x))
        return self.head((x + F.silu(self.free(x))).mean((2, 3)))


class Rounded(nn.Module):
    """A pool whose last windows reach beyond the map, behind an activation without an upper limit."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 4, 4, padding=1), nn.Linear(64, classes)
        self.act, self.pool = nn.Hardtanh(0.0, float("inf")), nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.pool(self.act(self.stem(x))).flatten(1))


class Pooled(nn.Module):
    """A max pool behind ``between``, which moves what an activation gives."""

    def __init__(self, between: Callable[[Tensor], Tensor], pool: nn.Module, features: int) -> None:
        super().__init__()
        self.stem, self.between, self.pool = nn.Conv2d(1, 4, 3, padding=1), between, pool
        self.head = nn.Linear(features, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.pool(self.between(self.stem(x))).flatten(1))


def signal() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(2), nn.Conv1d(1, 3, 1), nn.Unflatten(2, (8, 8)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(48, 3),
    )  # fmt: skip


def of_ones() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(2), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.MaxPool1d(1), nn.Flatten(), nn.Linear(248, 3)
    )


def pool_first() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


Case = tuple[Callable[[], nn.Module], str, str, dict[str, Any]]
KEPT = {"norm": "batch"}
CASES: dict[str, Case] = {
    "mobile": (Mobile, "bp", "lsq", KEPT),
    "mobile in floats": (Mobile, "bp-fused", "fp32", KEPT),
    "mobile, frozen behind": (Mobile, "bp", "lsq", KEPT | {"train": "stem*"}),
    "mobile in blocks": (Mobile, "local-resident", "lsq", KEPT | {"blocks": "layers"}),
    "shuffled": (Shuffled, "bp", "lsq", {}),
    "shuffled, frozen behind": (Shuffled, "bp", "lsq", {"train": "stem*"}),
    "shuffled in blocks": (Shuffled, "local-resident", "lsq", {"blocks": "layers"}),
    "shuffled along directions": (Shuffled, "zo", "lsq", {"before": 0}),
    "pixels": (Pixels, "bp", "lsq", {}),
    "pixels in floats": (Pixels, "bp", "fp32", {}),
    "pixels along directions": (Pixels, "zo", "lsq", {"before": 0}),
    "turned": (Turned, "bp", "lsq", {}),
    "turned in blocks": (Turned, "local-resident", "lsq", {"blocks": "layers"}),
    "narrow": (Narrow, "bp", "lsq", {}),
    "narrow, frozen behind": (Narrow, "bp", "lsq", {"train": "stem*"}),
    "narrow in blocks": (Narrow, "local-resident", "lsq", {"blocks": "layers"}),
    "leaky": (Leaky, "bp", "lsq", {}),
    "leaky in floats": (Leaky, "bp", "fp32", {}),
    "leaky, frozen behind": (Leaky, "bp", "lsq", {"train": "stem*"}),
    "leaky in blocks": (Leaky, "local", "lsq", {"blocks": "layers"}),
    "electrodes": (Electrodes, "bp", "lsq", KEPT),
    "electrodes in floats": (Electrodes, "bp-fused", "fp32", KEPT),
    "electrodes in blocks": (Electrodes, "local-resident", "lsq", KEPT | {"blocks": "layers"}),
    "smooth": (Smooth, "bp", "lsq", {}),
    "smooth in floats": (Smooth, "bp", "fp32", {}),
    "next": (Next, "bp", "lsq", {}),
    "next in floats": (Next, "bp", "fp32", {}),
    "next, biases alone": (Next, "bp", "lsq", {"train": "bias"}),
    "next in blocks": (Next, "local-resident", "lsq", {"blocks": "layers"}),
    "broadcast": (lambda: own.Broadcast(3), "bp", "lsq", {}),
    "broadcast in floats": (lambda: own.Broadcast(3), "bp-fused", "fp32", {}),
    "broadcast, frozen behind": (lambda: own.Broadcast(3), "bp", "lsq", {"train": "stem*"}),
    "broadcast in blocks": (lambda: own.Broadcast(3), "local-resident", "lsq", {"blocks": "layers"}),
    "broadcast along directions": (lambda: own.Broadcast(3), "zo", "lsq", {"before": 0}),
    "mixed": (lambda: own.Mixed(3), "bp", "lsq", {}),
    "mixed in floats": (lambda: own.Mixed(3), "bp", "fp32", {}),
    "mixed, frozen behind": (lambda: own.Mixed(3), "bp", "lsq", {"train": "rows.*.a"}),
    "mixed in blocks": (lambda: own.Mixed(3), "local-resident", "lsq", {"blocks": "layers"}),
    "mixed along directions": (lambda: own.Mixed(3), "zo", "lsq", {"before": 0}),
    "norms first in blocks": (lambda: own.NormsFirst(3), "local", "lsq", {"blocks": "layers"}),
    "norms first, one block after the other": (
        lambda: own.NormsFirst(3), "local-resident", "lsq", {"blocks": "layers"},
    ),
    "attention": (lambda: own.Compact(3), "bp", "lsq", {}),
    "attention in floats": (lambda: own.Compact(3), "bp-fused", "fp32", {}),
    "attention, frozen behind": (lambda: own.Compact(3), "bp", "lsq", {"train": "stem*"}),
    "attention in blocks": (lambda: own.Compact(3), "local", "lsq", {"blocks": "layers"}),
    "attention, one block after the other": (
        lambda: own.Compact(3), "local-resident", "lsq", {"blocks": "layers"},
    ),
    "attention behind constants": (lambda: own.Sines(3), "bp", "lsq", {}),
    "attention behind constants, in blocks": (
        lambda: own.Sines(3), "local-resident", "lsq", {"blocks": "layers"},
    ),
    "attention with a mask": (lambda: own.Causal(3), "bp", "lsq", {}),
    "attention with a mask, in floats": (lambda: own.Causal(3), "bp-fused", "fp32", {}),
    "attention with a mask, in blocks": (
        lambda: own.Causal(3), "local-resident", "lsq", {"blocks": "layers"},
    ),
    "attention with a mask, along directions": (lambda: own.Causal(3), "zo", "lsq", {"before": 0}),
    "attention along directions": (lambda: own.Compact(3), "zo", "lsq", {"before": 0}),
    "before": (Before, "bp", "fp32", KEPT),
    "before, codes": (Before, "bp", "lsq", KEPT),
    "rounded": (Rounded, "bp", "lsq", {}),
    "rounded in floats": (Rounded, "bp-fused", "fp32", {}),
    "pool of a row": (lambda: Pooled(lambda x: F.relu(x).flatten(2), nn.MaxPool1d(3), 84), "bp", "lsq", {}),
    "pool of channels": (lambda: Pooled(lambda x: F.relu(x)[:, :2], nn.MaxPool2d(2), 32), "bp", "lsq", {}),
    "pool of columns": (lambda: Pooled(lambda x: F.relu(x)[..., :4], nn.MaxPool2d(2), 32), "bp", "lsq", {}),
    "pool of a shuffle": (
        lambda: Pooled(lambda x: F.channel_shuffle(F.relu(x), 2), nn.MaxPool2d(2), 64), "bp", "lsq", {}
    ),
    "pool of a transpose": (
        lambda: Pooled(lambda x: F.relu(x).transpose(2, 3), nn.MaxPool2d((2, 4)), 32), "bp", "lsq", {}
    ),
    "pool of a map that was a signal": (signal, "bp", "fp32", {}),
    "pool of a map that was a signal, codes": (signal, "local", "lsq", {}),
    "pool of two activations": (
        lambda: Pooled(lambda x: torch.cat([F.relu(x), F.relu(x + 1)], 1), nn.MaxPool2d(2), 128),
        "bp", "lsq", {},
    ),
    "windows of one": (of_ones, "bp", "fp32", {}),
    "pool first": (pool_first, "bp", "fp32", {}),
}  # fmt: skip
WHOLE = {"norm": "none", "head": "gap", "blocks": "1"}
QUICK = (
    "mobile",
    "broadcast",
    "mixed in blocks",
    "norms first in blocks",
    "attention, one block after the other",
    "shuffled",
    "pixels",
    "leaky",
    "electrodes",
    "smooth",
    "next",
    "before",
    "turned in blocks",
    "rounded in floats",
)
BEHIND = ("mobile, frozen behind", "shuffled in blocks", "before, codes")


def attentive(classes: int = 3) -> nn.Module:
    return own.Compact(classes)


def of(made: Callable[[], nn.Module]) -> dict[str, Any]:
    """As it is named on the command line."""
    return {"model": f"{__file__}:{made.__name__}", "width": None}


def compared(folder: Path, case: str) -> Compared:
    made, regime, method, more = CASES[case]
    torch.manual_seed(0)
    return compare(folder, model=made(), regime=regime, method=method, **WHOLE | more)


@pytest.mark.slow
@pytest.mark.parametrize("case", shown(CASES, *QUICK, *BEHIND))
def test_a_step_in_c_is_that_of_pytorch(case, tmp_path):
    found = compared(tmp_path, case)
    assert found.error < TOLERANCE, found.worst
    assert found.flips == 0
    layers = [x for x in found.program.schedule.layers.values() if ".head." not in x.name]
    assert {x.name for x in layers if x.weights and x.trained.weights} <= found.moved


@pytest.mark.slow
@pytest.mark.parametrize(
    "made", shown([Mobile, Shuffled, Pixels, Leaky, Electrodes, Next, Turned], Pixels, Next)
)
def test_a_board_predicts_through_them(made, tmp_path):
    torch.manual_seed(0)
    settings = WHOLE | {"norm": "group", "regime": "local-resident", "method": "lsq", "blocks": "layers"}
    classes, board, logits = predictions(tmp_path, 6, model=made(), **settings)
    assert torch.equal(classes, logits.argmax(1))
    assert torch.allclose(board, logits, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("made", shown([Mobile, Shuffled, Leaky, Next, attentive], Mobile))
def test_live_bytes_by_loads_and_stores_are_those_of_the_plan(made, tmp_path):
    torch.manual_seed(0)
    found = checked(tmp_path / "out", "bp", 1, trace=True, method="lsq", blocks="1", **of(made))
    assert found.wrong == ()
    assert found.trace is not None and found.trace.equal


@pytest.mark.slow
def test_nothing_is_read_beyond_a_map_that_the_windows_of_a_pool_leave(tmp_path):
    torch.manual_seed(0)
    found = checked(tmp_path / "out", "bp-fused", 1, trace=True, method="fp32", blocks="1", **of(Rounded))
    assert found.wrong == ()
    assert found.trace is not None and found.trace.equal


class Flat(nn.Module):
    """Something behind a flattened map, and what may be beside it."""

    def __init__(self, behind: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.stem, self.head, self.behind = nn.Conv2d(1, 4, 4, 2, padding=1), nn.Linear(64, 3), behind
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.behind(self, F.relu(self.stem(x)).flatten(1)))


FLAT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a sum": (lambda: Flat(lambda m, x: x + m.fc(x), fc=nn.Linear(64, 64)), "a residual sum of a flattened"),
    "a product": (
        lambda: Flat(lambda m, x: x * torch.sigmoid(m.fc(x)), fc=nn.Linear(64, 64)), "mul of a flattened map",
    ),
    "groups": (lambda: Flat(lambda m, x: m.n(x), n=nn.GroupNorm(2, 64)), "group norm of a flattened map"),
    "a batch norm": (lambda: Flat(lambda m, x: m.n(x), n=nn.BatchNorm1d(64)), "batch norm of a flattened"),
    "a pool of codes side by side": (
        lambda: Pooled(lambda x: torch.cat([F.relu(x)] * 2, 1), nn.MaxPool2d(2), 128),
        "a max pool of codes behind cat",
    ),
    "four dimensions": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Unflatten(1, (1, 4)), nn.Flatten(), nn.Linear(144, 3)),
        "4 dimensions that are flattened",
    ),
    "a mean over batches": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 4, 2, padding=1), nn.BatchNorm2d(4, momentum=None), nn.ReLU(), nn.Flatten(),
            nn.Linear(64, 3),
        ),
        "a mean over all batches of statistics",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAT)
def test_what_would_be_another_step_in_c_is_refused_in_one_line(name, tmp_path):
    make, message = FLAT[name]
    method = "lsq" if "codes" in name else "fp32"
    settings = WHOLE | {"norm": "batch", "regime": "bp", "method": method}
    with pytest.raises(InputError, match=f"got {message}.* has no C form") as caught:
        compare(tmp_path, model=make(), **settings)
    assert "\n" not in str(caught.value)


def test_a_norm_without_statistics_has_none_to_predict_by(tmp_path):
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    settings = WHOLE | {"norm": "batch", "regime": "bp", "method": "fp32"}
    with pytest.raises(InputError, match="got a batch norm at rest without running statistics"):
        predictions(tmp_path, 6, model=module, **settings)


class Placed(nn.Module):
    """A layer norm whose factors belong to places."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.LayerNorm((4, 6, 6)), nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Any:
        return self.head(F.relu(self.norm(self.stem(x))).mean((2, 3)))


class Deep(nn.Module):
    """A sum of what has four dimensions."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.stem(x)).view(-1, 2, 2, 8, 8)
        return self.head((x + x.transpose(1, 2)).reshape(-1, 4, 8, 8).mean((2, 3)))


def test_layer_norms_with_factors_of_places_are_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"layer stem\.norm: got a layer norm over rows") as caught:
        compare(tmp_path, model=Placed(), **WHOLE | {"regime": "bp", "method": "fp32"})
    assert "\n" not in str(caught.value)


def test_what_has_more_dimensions_than_a_map_is_refused_where_it_would_lie_in_memory():
    made = prepared("bp", method="fp32", **of(Deep))
    with pytest.raises(InputError, match=r"of 4 dimensions, which has no C form") as caught:
        check_views(made.network)
    assert "\n" not in str(caught.value)
