"""Random numbers of a forward pass, drawn again in its recomputation."""

from types import TracebackType

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd


class Draws:
    """Made before a first pass; within this context a second one drops the same elements.

    Nothing is kept for a module without dropout in training.
    """

    def __init__(self, module: nn.Module) -> None:
        draws = any(isinstance(m, _DropoutNd) and m.training and m.p > 0 for m in module.modules())
        self._before = random_state() if draws else None

    def __enter__(self) -> None:
        if self._before is not None:
            self._after = random_state()
            set_random_state(self._before)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            set_random_state(self._after)


def random_state() -> dict[str, torch.Tensor]:
    """The states of PyTorch's generators, by device."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    """Back to what :func:`random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
