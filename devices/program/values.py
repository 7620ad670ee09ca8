"""Where each layer's output is while a program is made, and by what its codes are read.

Codes are read with the levels of the quantizer that made them, and a normalised map with the norm's scale
and shift. Both may change, or leave RAM, before the last reader: then it reads a copy of what they were.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from devices.network import Layer
from devices.program.operation import Derived, Operand, Stored
from devices.program.state import FROZEN

REST = f"codes.{FROZEN}"
"""Of a layer of which only a share of the weights is trained."""


class Values:
    """Layer -> its output as an operand, and tensor -> what gives it its values."""

    def __init__(self) -> None:
        self.outputs: dict[str, Operand] = {}
        self.levels: dict[str, tuple[str, ...]] = {}  # codes -> levels
        self.makers: dict[str, str] = {}  # codes -> the layer whose quantizer made them
        self.at_rest: set[str] = set()  # codes that were made at rest
        self.applied: dict[str, tuple[str, ...]] = {}  # norm -> the scale and shift that its reader applies
        self._outlived: dict[str, int] = {}  # what the next block reads by -> how many of its elements

    def of(self, names: Iterable[str]) -> tuple[Operand, ...]:
        """The outputs of layers, as their readers find them now."""
        return tuple(self.now(self.outputs[name]) for name in names)

    def now(self, operand: Operand) -> Operand:
        """The operand with what is to be read with it as matters stand."""
        if isinstance(operand, Stored):
            name = operand.tensor
            return Stored(name, self.levels.get(name, ()), self.makers.get(name, ""), name in self.at_rest)
        inputs = tuple(map(self.now, operand.inputs))
        return Derived(operand.layer, inputs, self.applied.get(operand.layer, ()))

    def take_over(self, other: "Values", name: str) -> None:
        """The output of ``name`` is where it is in ``other``."""
        self.outputs[name] = operand = other.now(other.outputs[name])
        self._read_as(operand)

    def _read_as(self, operand: Operand) -> None:
        """From now on an operand means what it means as it is told."""
        if isinstance(operand, Derived):
            self.applied[operand.layer] = operand.parameters
            for source in operand.inputs:
                self._read_as(source)
            return
        self.levels[operand.tensor], self.makers[operand.tensor] = operand.levels, operand.maker
        self.at_rest.update([operand.tensor] if operand.at_rest else [])

    def hand_on(self, name: str, counts: Mapping[str, int | None], sizes: Mapping[str, int]) -> None:
        """The output of ``name`` will be read after what it is read by has changed.

        Of levels as many values are then needed as ``counts`` says (None: all); ``sizes`` are elements.
        """
        (operand,) = self.of([name])
        for by in _read_by(operand):
            count = counts.get(by)
            self._outlived[by] = sizes[by] if count is None else min(count, sizes[by])

    @property
    def waiting(self) -> tuple[str, ...]:
        """What has not been copied yet."""
        return tuple(self._outlived)

    def due(self, name: str) -> int:
        """How many elements of ``name`` have to be copied before it changes; then none any more."""
        return self._outlived.pop(name, 0)

    def rename(self, old: str, new: str) -> None:
        """From now on whoever reads by ``old`` reads by ``new``."""
        for table in (self.levels, self.applied):
            for key, found in table.items():
                table[key] = tuple(new if name == old else name for name in found)


def maker_of(operand: Operand) -> str:
    """The layer whose quantizer made the codes of an operand; "" if it is none of codes."""
    if isinstance(operand, Stored):
        return operand.maker
    return next((maker for source in operand.inputs if (maker := maker_of(source))), "")


def made_at_rest(operand: Operand) -> bool:
    """Whether codes of an operand were."""
    if isinstance(operand, Stored):
        return operand.at_rest
    return any(map(made_at_rest, operand.inputs))


def mixed(operands: Iterable[Operand]) -> bool:
    """Whether codes of several quantizers stand side by side in them, or codes and floats."""
    return len({maker for operand in operands for maker in _makers_of(operand)}) > 1


def _makers_of(operand: Operand) -> Iterator[str]:
    if isinstance(operand, Stored):
        yield operand.maker
        return
    for source in operand.inputs:
        yield from _makers_of(source)


def levels_of(operand: Operand) -> tuple[str, ...]:
    """What gives the codes of an operand their values."""
    if isinstance(operand, Stored):
        return operand.levels
    return tuple(dict.fromkeys(name for source in operand.inputs for name in levels_of(source)))


def _read_by(operand: Operand) -> tuple[str, ...]:
    """Levels, scales and shifts of an operand."""
    if isinstance(operand, Stored):
        return operand.levels
    return (*operand.parameters, *(name for source in operand.inputs for name in _read_by(source)))


def replaced(operand: Operand, old: str, new: str) -> Operand:
    """The operand with one tensor in place of another."""
    if isinstance(operand, Stored):
        return Stored(new) if operand.tensor == old else operand
    return Derived(operand.layer, tuple(replaced(x, old, new) for x in operand.inputs))


def with_roles(layer: Layer, names: Iterable[str]) -> tuple[tuple[str, Operand], ...]:
    """The tensors of a layer as operands: ``conv1.weight`` has the role "weight".

    Where a share of the weights is trained, the codes of the others are the "rest".
    """
    prefix, rest = len(layer.weights_of or layer.name) + 1, "rest" if layer.is_shared else _role(REST)
    return tuple((rest if name[prefix:] == REST else _role(name[prefix:]), Stored(name)) for name in names)


@cache
def _role(what: str) -> str:
    return what.split(".")[0].split("#")[0]
