"""When a training has diverged: a loss or a weight is no number any more, and no later step mends it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from blockwise.training.outcome import Divergence


class Diverged(Exception):
    """Ends a training from within; the run makes an outcome of it."""

    def __init__(self, found: Divergence) -> None:
        super().__init__(found)
        self.found = found


@dataclass(frozen=True)
class FirstBadLoss:
    """Where the first loss that is not finite was met: a step, from 1, and the number of its head."""

    step: int
    head: int


class Losses:
    """Those of an epoch's steps, one of every head a step.

    On a processor each step is looked at as it comes. An accelerator would have to be waited for: there
    all are looked at when the epoch is over.
    """

    def __init__(self) -> None:
        self._steps: list[Tensor] = []

    def add(self, losses: Tensor) -> bool:
        """After a step; whether there is no use in going on."""
        self._steps.append(losses)
        return losses.device.type == "cpu" and not bool(losses.isfinite().all())

    def first_bad(self) -> FirstBadLoss | None:
        """The first loss that is not finite, of its step the one of the first head."""
        bad = torch.stack(self._steps).isfinite().logical_not()
        if not bool(bad.any()):
            return None
        step, head = bad.nonzero()[0].tolist()
        return FirstBadLoss(step + 1, head)


def first_broken(modules: Iterable[nn.Module]) -> int | None:
    """The number of the first module with a parameter or a running statistic that is not finite."""
    for index, module in enumerate(modules):
        statistics = [b for name, b in module.named_buffers() if "running_" in name]
        if not all_finite([*module.parameters(), *statistics]):
            return index
    return None


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether every value is a number; looked at once, however many tensors there are."""
    looks = [t.detach().isfinite().all() for t in tensors]
    return not looks or bool(torch.stack(looks).all())
