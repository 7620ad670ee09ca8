"""What a training does: its phases, and one step of a phase."""

from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True)
class Phase:
    """Blocks ``first`` .. ``last`` - 1 are trained; those before are finished, those after untouched.

    ``heads`` are the blocks whose heads give a loss.
    """

    block: str  # "" when all blocks are trained
    first: int
    last: int
    heads: tuple[int, ...]


class Procedure(Protocol):
    """How a regime makes gradients. Stateless: all state is in the network and its updater."""

    @property
    def name(self) -> str:
        """As users name it."""
        ...

    def phases(self, net: Any) -> tuple[Phase, ...]:
        """What is trained, in order. Integer regimes take an IntegerNet, all others a BlockNet."""
        ...

    def step(self, net: Any, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """Forward and backward passes for one batch; returns the losses of ``phase.heads``, detached.

        (heads,), or a scalar where there is one. Integer regimes, which cannot diverge, return the last.
        ``x`` is the input of block ``phase.first``. Gradients end in ``.grad``, or in the hooks of a
        fused updater.
        """
        ...


def whole(net: Sized, *, heads: tuple[int, ...]) -> tuple[Phase, ...]:
    """One phase that trains everything."""
    return (Phase("", 0, len(net), heads),)
