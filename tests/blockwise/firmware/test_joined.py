"""Tensors side by side, parts, products and borders in C, against PyTorch from the same state."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from float_firmware import Compared, compare, predictions
from tiers import shown
from torch import Tensor, nn
from torch.nn import functional as F

from devices.errors import InputError

TOLERANCE = 1e-5
"""Of the length of the update."""


class Branches(nn.Module):
    """Two branches side by side, a pool behind both; the last features are of two sources, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.narrow = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 5, 1)
        self.wide = nn.Conv2d(4, 3, 3, padding=1)
        self.behind, self.head = nn.Conv2d(8, 4, 3, padding=1, stride=2), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.stem(x))
        x = F.max_pool2d(torch.cat([F.relu(self.wide(x)), F.relu(self.narrow(x))], 1), 2)
        return self.head(torch.cat([F.relu(self.behind(x)).mean((2, 3)), x.mean((2, 3))], 1))


class Gate(nn.Module):
    """A factor for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 4)
        self.behind, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)
        nn.init.constant_(self.gate.bias, 1.0)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.stem(x))
        gate = F.relu(self.gate(x.mean((2, 3)))).view(-1, 4, 1, 1)
        return self.head(F.relu(self.behind(x * gate)).mean((2, 3)))


class Mask(nn.Module):
    """A factor for each element, or for each pixel."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.stem, self.mask = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, channels, 1)
        self.behind, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.stem(x))
        return self.head(F.relu(self.behind(x * F.relu(self.mask(x)))).mean((2, 3)))


class Bordered(nn.Module):
    """A border that is wider on one side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.border = nn.Conv2d(1, 4, 3, padding=1), nn.ZeroPad2d((1, 2, 0, 1))
        self.behind, self.head = nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(F.relu(self.behind(self.border(F.relu(self.stem(x))))).mean((2, 3)))


class MoreChannels(nn.Module):
    """A shortcut as He et al.'s option A is most often written, or channels around a signal."""

    def __init__(self, conv: type[nn.Module] = nn.Conv2d) -> None:
        super().__init__()
        self.stem, self.down = conv(1, 4, 3, padding=1), conv(4, 8, 3, stride=2, padding=1)
        self.behind, self.head, self.rank = conv(8, 8, 3, padding=1), nn.Linear(8, 3), 2
        if conv is nn.Conv1d:
            self.rank = 1

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.stem(x))
        part = x[:, :, ::2, ::2] if self.rank == 2 else x[:, :, ::2]
        part = F.pad(part, (*[0, 0] * self.rank, 1, 3))
        x = F.relu(self.behind(F.relu(self.down(x))) + part)
        return self.head(x.flatten(2).mean(2))


class Cropped(nn.Module):
    """What a border cuts off, on one side of a map more, and of channels."""

    def __init__(self, amounts: tuple[int, ...] = (-1, -2, -1, 1)) -> None:
        super().__init__()
        self.amounts, channels = amounts, 4 + sum(amounts[4:])
        self.stem, self.behind = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(channels, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(F.relu(self.behind(F.pad(F.relu(self.stem(x)), self.amounts))).mean((2, 3)))


class Parts(nn.Module):
    """Two halves of the channels, the sums of one of which are read one by one; a constant factor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.behind, self.head = nn.Conv2d(1, 8, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Any:
        one, other = F.relu(self.stem(x)).chunk(2, 1)
        return self.head(F.relu(self.behind(one + 0.5 * other)).mean((2, 3)))


class Again(nn.Module):
    """A map that stands twice among those side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.other = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 3, 1)
        self.behind, self.head = nn.Conv2d(11, 4, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.stem(x))
        x = F.relu(self.behind(torch.cat([x, F.relu(self.other(x)), x], 1))).mean((2, 3))
        return self.head(torch.cat([x, x], 1))


class Flattened(nn.Module):
    """Flattened maps side by side: on a board their features do not lie as those of one map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.other = nn.Conv2d(1, 2, 3, stride=2), nn.Conv2d(1, 3, 3, stride=3)
        self.head = nn.Linear(2 * 9 + 3 * 4, 3)

    def forward(self, x: Tensor) -> Any:
        both = F.relu(self.stem(x)).flatten(1), F.relu(self.other(x)).flatten(1)
        return self.head(torch.cat(both, 1))


CASES: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "branches": (Branches, {"regime": "bp", "method": "lsq"}),
    "gate": (Gate, {"regime": "bp", "method": "fp32"}),
    "mask": (Mask, {"regime": "bp", "method": "lsq"}),
    "border": (Bordered, {"regime": "local-resident", "method": "lsq", "blocks": "layers"}),
    "channels around": (MoreChannels, {"regime": "bp", "method": "lsq"}),
    "channels around, not quantized": (MoreChannels, {"regime": "bp", "method": "fp32"}),
    "channels around a signal": (
        lambda: MoreChannels(nn.Conv1d),
        {"regime": "bp", "method": "lsq", "in_shape": (1, 16)},
    ),
    "cropped": (Cropped, {"regime": "bp", "method": "fp32"}),
    "cropped codes": (Cropped, {"regime": "bp", "method": "lsq"}),
    "cropped channels": (lambda: Cropped((0, 0, 1, 0, -1, -1)), {"regime": "bp", "method": "lsq"}),
    "parts": (Parts, {"regime": "bp", "method": "lsq"}),
    "a map again": (Again, {"regime": "bp", "method": "lsq"}),
    "a map again, not quantized": (Again, {"regime": "bp", "method": "fp32"}),
    "a map again in blocks": (Again, {"regime": "local-resident", "method": "lsq", "blocks": "layers"}),
    "a map again along directions": (Again, {"regime": "zo", "method": "fp32", "before": 0}),
    "parts along directions": (Parts, {"regime": "zo", "method": "fp32", "before": 0}),
    "mask of pixels": (lambda: Mask(1), {"regime": "bp", "method": "fp32"}),
    "branches in blocks": (Branches, {"regime": "local-resident", "method": "lsq", "blocks": "layers"}),
    "branches along directions": (Branches, {"regime": "zo", "method": "lsq", "before": 0}),
    "gate in blocks": (Gate, {"regime": "local", "method": "lsq", "blocks": "layers"}),
}
QUICK = ("branches", "gate", "mask", "border", "channels around", "cropped", "parts", "a map again")
WHOLE = {"norm": "none", "head": "gap", "blocks": "1"}


def compared(folder: Path, case: str) -> Compared:
    made, settings = CASES[case]
    torch.manual_seed(0)
    return compare(folder, model=made(), **WHOLE | settings)


@pytest.mark.slow
@pytest.mark.parametrize("case", shown(CASES, *QUICK))
def test_a_step_in_c_is_that_of_pytorch(case, tmp_path):
    found = compared(tmp_path, case)
    assert found.error < TOLERANCE, found.worst
    assert found.flips == 0
    layers = [x for x in found.program.schedule.layers.values() if x.weights and ".head." not in x.name]
    assert {layer.name for layer in layers} <= found.moved  # a gradient comes through to each of them


@pytest.mark.slow
def test_a_board_predicts_through_branches_whose_sums_are_read_one_by_one(tmp_path):
    torch.manual_seed(0)
    settings = WHOLE | {"regime": "local-resident", "method": "lsq", "model": Branches()}
    classes, board, logits = predictions(tmp_path, 6, **settings)
    assert torch.equal(classes, logits.argmax(1))
    assert torch.allclose(board, logits, atol=1e-5)


def test_flattened_maps_side_by_side_are_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="flattened maps side by side") as caught:
        compare(tmp_path, model=Flattened(), **WHOLE | {"regime": "bp", "method": "fp32"})
    assert "\n" not in str(caught.value) and "pool the maps" in str(caught.value)
