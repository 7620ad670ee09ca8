"""Networks of layers in a row, as people write them, whose steps integers can take: 3 classes."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F


class Functional(nn.Module):
    """A DS-CNN in functions: depthwise separable convolutions, a mean over space."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = (
            nn.Conv2d(1, 4, (5, 2), (2, 1), (2, 0)),
            nn.Conv2d(4, 4, 3, 1, 1, groups=4),
        )
        self.pointwise, self.head = nn.Conv2d(4, 6, 1), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.pointwise(F.relu(self.depthwise(F.relu(self.stem(x))))))
        found: Tensor = self.head(x.mean((2, 3)))
        return found


def row(*layers: nn.Module, features: int) -> nn.Sequential:
    """The layers, and a linear one behind so many features."""
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3))


def first(padding: int = 1) -> nn.Conv2d:
    return nn.Conv2d(1, 4, 3, padding=padding)


Shape = tuple[int, ...]
PLAIN: dict[str, tuple[Shape, Callable[[], nn.Module]]] = {
    "signals": ((2, 20), lambda: row(
        nn.Conv1d(2, 4, 5, 2, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 6, 3, padding=1),
        nn.ReLU(), nn.AdaptiveAvgPool1d(1), features=6,
    )),
    "dilated and grouped signals": ((2, 20), lambda: row(
        nn.Conv1d(2, 4, 5, padding=4, dilation=2), nn.ReLU(), nn.Conv1d(4, 8, 3, 2, padding=1, groups=2),
        nn.ReLU(), nn.AvgPool1d(2), features=40,
    )),
    "oblong kernels and windows": ((1, 9, 6), lambda: row(
        nn.Conv2d(1, 4, (5, 2), (2, 1), (1, 1)), nn.ReLU(), nn.MaxPool2d((2, 1)),
        nn.Conv2d(4, 6, (1, 3), padding=(0, 1)), nn.ReLU(), nn.AdaptiveAvgPool2d(1), features=6,
    )),
    "functions": ((1, 12, 6), Functional),
    "dilated": ((1, 10, 10), lambda: row(
        nn.Conv2d(1, 4, 3, padding=2, dilation=2), nn.ReLU(), nn.MaxPool2d(3), features=36,
    )),
    "means between": ((1, 12, 12), lambda: row(
        first(), nn.ReLU(), nn.AvgPool2d(3), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d((2, 1)), features=8,
    )),
    "features": ((7,), lambda: nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))),
    "convolutions without an activation": ((1, 8, 8), lambda: row(
        first(), nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), features=64,
    )),
    "linear layers without an activation": ((7,), lambda: nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3))),
    "an activation behind a pool": ((1, 8, 8), lambda: row(
        first(), nn.MaxPool2d(2), nn.ReLU(), features=64,
    )),
    "a map as a signal": ((1, 8, 8), lambda: nn.Sequential(
        first(), nn.ReLU(), nn.Flatten(2), nn.Conv1d(4, 4, 3, padding=1), nn.ReLU(), nn.AvgPool1d(4),
        nn.Flatten(), nn.Linear(64, 3),
    )),
    "a signal as a map": ((4, 16), lambda: nn.Sequential(
        nn.Unflatten(2, (4, 4)), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(24, 3),
    )),
    "activations behind pools of several blocks": ((1, 8, 8), lambda: row(
        first(), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        features=24,
    )),
    "two activations behind a flat pool": ((1, 8, 8), lambda: nn.Sequential(
        first(), nn.MaxPool2d(2), nn.Flatten(), nn.ReLU(), nn.ReLU(), nn.Linear(64, 5), nn.Linear(5, 3),
    )),
    "activations that find nothing below zero": ((1, 8, 8), lambda: row(
        first(), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.ReLU(), features=16,
    )),
    "an activation behind a flatten": ((1, 8, 8), lambda: nn.Sequential(
        first(), nn.Flatten(), nn.ReLU(), nn.Linear(256, 3),
    )),
    "a pool of the image": ((1, 8, 8), lambda: row(nn.MaxPool2d(2), first(), nn.ReLU(), features=64)),
    "a mean of the image": ((1, 8, 8), lambda: row(nn.AvgPool2d(2), first(), nn.ReLU(), features=64)),
    "a pool of sums": ((1, 8, 8), lambda: row(first(), nn.MaxPool2d(2), features=64)),
    "windows of a map that was a signal": ((1, 8, 8), lambda: nn.Sequential(
        nn.Flatten(2), nn.Conv1d(1, 3, 1), nn.Unflatten(2, (8, 8)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(48, 3),
    )),
    "windows of a signal that was a map": ((1, 8, 8), lambda: nn.Sequential(
        first(), nn.Flatten(2), nn.MaxPool1d(3), nn.ReLU(), nn.Flatten(), nn.Linear(84, 3),
    )),
    "a map of four dimensions on its way": ((1, 8, 8), lambda: nn.Sequential(
        first(), nn.ReLU(), nn.Unflatten(1, (1, 4)), nn.Flatten(), nn.Linear(256, 3),
    )),
    "a mean of sums as logits": ((1, 8, 8), lambda: nn.Sequential(
        first(), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )),
    "logits that are not below zero": ((1, 8, 8), lambda: nn.Sequential(
        first(), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3), nn.ReLU(),
    )),
    "another shape": ((40,), lambda: row(
        nn.Unflatten(1, (2, 20)), nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Unflatten(2, (4, 5)),
        nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), features=80,
    )),
}  # fmt: skip
