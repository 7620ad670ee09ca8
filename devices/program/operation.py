"""One operation of a training step: what is done to which operands, and where the results go.

Operands are trees: a tensor as it lies in memory, or what its reader makes of others element by element,
such as a residual sum, a padded shortcut, a view, or a norm's scale and shift. So nothing that a program
has to compute is left unsaid, and what an operation reads and writes follows from its operands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Phase = Literal["load", "forward", "recompute", "backward", "update", "pack", "page in", "page out"]


@dataclass(frozen=True)
class Stored:
    """A tensor; ``levels`` are the tensors that give codes their values, by the quantizer of ``maker``.

    Codes that were made at rest are read so.
    """

    tensor: str
    levels: tuple[str, ...] = ()
    maker: str = ""  # the layer whose quantizer made the codes, if they are codes of one
    at_rest: bool = False


@dataclass(frozen=True)
class Derived:
    """What ``layer`` makes of its inputs, evaluated by the reader, with ``parameters`` if it has any."""

    layer: str
    inputs: "tuple[Operand, ...]"
    parameters: tuple[str, ...] = ()


Operand = Stored | Derived


def tensors_of(operand: Operand) -> tuple[str, ...]:
    """The tensors that an operand is read from, without what gives codes their values."""
    if isinstance(operand, Stored):
        return (operand.tensor,)
    return tuple(name for source in operand.inputs for name in tensors_of(source))


def layers_of(operand: Operand) -> Iterator[str]:
    """The layers that the reader of an operand evaluates."""
    if isinstance(operand, Derived):
        yield operand.layer
        for source in operand.inputs:
            yield from layers_of(source)


def everything_of(operand: Operand) -> tuple[str, ...]:
    """The tensors that an operand is read from and by."""
    if isinstance(operand, Stored):
        return (operand.tensor, *operand.levels)
    return (*(name for source in operand.inputs for name in everything_of(source)), *operand.parameters)


LOAD = "load batch"
"""The action by which a step reads its images."""


@dataclass(frozen=True)
class Operation:
    """A step of the program.

    Operands and results go by role ("input", "weight", "gradient", "statistics", ...), in order; a role
    may occur more than once, as the inputs of a product. Scratch is a tensor that only it touches.
    """

    action: str  # as "forward" or "backward (weight)"
    phase: Phase
    block: str
    subject: str = ""  # what it is done to: a layer, a tensor or a block
    layer: str = ""  # the layer it works on, if one alone
    operands: tuple[tuple[str, Operand], ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    scratch: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()  # those of the results that are added to what is there
    macs: int = 0  # multiply-accumulates, whole batch
    at_rest: bool = False  # as deployed: norms by their running statistics
    trains: bool = True  # whether it is of a pass in training, in which layers may be at rest; else all are
    draw: int = 0  # of zeroth-order steps: which of the step's random directions it is about
    share: float = 1.0  # of the steps, those in which it is done: others skip it by chance

    @property
    def name(self) -> str:
        """As reports name it."""
        return f"{self.subject} {self.action}" if self.subject else self.action

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The tensors it reads, each once."""
        found = (name for _, operand in self.operands for name in everything_of(operand))
        return tuple(dict.fromkeys((*found, *self.adds)))

    @cached_property
    def writes(self) -> tuple[str, ...]:
        """The tensors it writes, scratch included."""
        return (*(name for _, name in self.results), *self.scratch)
