"""What a training does: its phases, and one step of a phase."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from blockwise.nets.trainable import TrainableNet


@dataclass(frozen=True)
class Phase:
    """Blocks ``first`` .. ``last`` - 1 are trained; those before are finished, those after untouched.

    ``heads`` are the blocks whose heads give a loss.
    """

    block: str  # "" when all blocks are trained
    first: int
    last: int
    heads: tuple[int, ...]

    @property
    def blocks(self) -> range:
        """The blocks that are trained."""
        return range(self.first, self.last)


Net = TypeVar("Net", bound=TrainableNet)
Given = TypeVar("Given", bound=TrainableNet, contravariant=True)
"""The kind of network that a regime trains: BlockNet in float, IntegerNet on integers."""


class Procedure(Protocol[Given]):
    """How a regime makes gradients. Stateless: all state is in the network and its updater."""

    @property
    def name(self) -> str:
        """The regime's, as users name it."""
        ...

    def phases(self, net: Given) -> tuple[Phase, ...]:
        """What is trained, in order."""
        ...

    def step(self, net: Given, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """Forward and backward passes for one batch; returns the losses of ``phase.heads``, detached.

        (heads,), or a scalar where there is one. Integer regimes, whose losses are numbers, return the last.
        ``x`` is the input of block ``phase.first``. Gradients end in ``.grad``, or in the hooks of a
        fused updater.
        """
        ...


def to_the_end(net: TrainableNet) -> tuple[Phase, ...]:
    """One phase of all blocks from the first that learns on, under the last head's loss."""
    last = len(net) - 1
    return (Phase("", net.learning[0], len(net), (last,)),)


def whole(net: TrainableNet, *, heads: tuple[int, ...]) -> tuple[Phase, ...]:
    """One phase of all blocks."""
    return (Phase("", 0, len(net), heads),)
