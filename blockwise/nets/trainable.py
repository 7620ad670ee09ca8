"""What a training loop knows of a network: blocks in a row, each with its head."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn


class ScoringHead(Protocol):
    """What gives a block its loss, and perhaps class scores."""

    minimum_batch: int
    """Smallest batch at which the loss says anything."""

    def logits(self, h: Any) -> Tensor | None:
        """Class scores (B, K) of the block's output, or None if the head does not classify."""
        ...


@dataclass(frozen=True)
class Part:
    """What is trained of a network, where that is not all of it; names are those of its own modules."""

    parameters: frozenset[str]  # of the blocks; heads are trained where their blocks are
    resting: tuple[str, ...]  # modules that work as deployed
    blocks: tuple[int, ...]  # of which anything is trained
    shares: tuple[tuple[str, int, int], ...] = ()  # weights of which so many first outputs and inputs are


class TrainableNet(nn.Module):
    """Bodies, tails and heads of all blocks; the last head is the loss of the network's own output.

    What passes from block to block is the network's own affair: floats, or integers with an exponent.
    """

    names: tuple[str, ...]
    bodies: nn.ModuleList
    tails: nn.ModuleList
    heads: nn.ModuleList
    directions: Any = None
    """Along which a zeroth-order step goes; set by what updates its weights."""
    part: Part | None = None
    alone = True
    """Whether an image becomes the same beside others, at rest: not on integers, which share exponents."""

    @property
    def learning(self) -> tuple[int, ...]:
        """The blocks that learn."""
        return tuple(range(len(self))) if self.part is None else self.part.blocks

    def settled_behind(self, last: int) -> bool:
        """Whether the blocks ``last`` and on are as they will be deployed: none of them is yet to learn."""
        return all(index < last for index in self.learning)

    def hold(self) -> None:
        """What is not to be trained wants no gradients."""
        if self.part is None:
            return
        for name, parameter in self.named_parameters():
            if not name.startswith("heads.") and name not in self.part.parameters:
                parameter.requires_grad_(False)

    def rest(self) -> None:
        """What is not to be trained works as deployed: norms by running statistics, dropout idle."""
        for module in self.resting:
            module.eval()

    @property
    def resting(self) -> Iterator[nn.Module]:
        """The modules that work as deployed throughout."""
        return (self.get_submodule(name) for name in (() if self.part is None else self.part.resting))

    def __len__(self) -> int:
        return len(self.names)

    def run(self, x: Any, start: int, end: int) -> Any:
        """Pass x through the blocks ``start`` .. ``end`` - 1."""
        for body, tail in zip(self.bodies[start:end], self.tails[start:end], strict=True):
            x = tail(body(x))
        return x

    def head(self, index: int) -> ScoringHead:
        """The head of block ``index``."""
        raise NotImplementedError

    def parts(self, index: int) -> tuple[nn.Module, nn.Module, nn.Module]:
        """Body, tail and head of block ``index``."""
        return self.bodies[index], self.tails[index], self.heads[index]
