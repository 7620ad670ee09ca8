"""Where the C of one operation is made: its tensors as C sees them, its numbers, the functions it needs."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from blockwise.firmware.float_facts import FloatFacts, Levels
from devices.network import Layer
from devices.program.categories import SAVED_ACTIVATIONS, WORKING_TENSORS
from devices.program.operation import Operand, Operation, Stored
from devices.program.schedule import Loop, Schedule, Tensor

TURN = "turn"
"""The C variable that counts the passes of a loop."""


@dataclass
class Site:
    """One operation. ``address`` gives the C expression of a tensor's first byte."""

    index: int
    operation: Operation
    schedule: Schedule
    facts: FloatFacts
    address: Callable[[str], str]
    flash: Mapping[str, int]  # tensor -> the word of blockwise_first at which its values begin
    loop: Loop | None = None
    prefix: str = ""  # of the names of functions
    functions: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)  # numbers that stay the same during the operation
    _kinds: Counter[str] = field(default_factory=Counter)

    @property
    def layer(self) -> Layer:
        """That the operation works on."""
        return self.schedule.layers[self.operation.layer]

    @property
    def levels(self) -> Levels | None:
        """Of the layer's quantizer, if it has one."""
        return self.facts.quantizers.get(self.operation.layer)

    def tensor(self, name: str) -> Tensor:
        """By its name."""
        return self.schedule.tensors[name]

    def operand(self, role: str) -> Operand | None:
        """The first operand of this role, or none."""
        return next((x for found, x in self.operation.operands if found == role), None)

    def needed(self, role: str) -> Operand:
        """The first operand of this role, which there is."""
        found = self.operand(role)
        assert found is not None, f"{self.operation.name} has no {role}"
        return found

    def stored(self, role: str) -> str | None:
        """The tensor of the first operand of this role, or none."""
        found = self.operand(role)
        return found.tensor if isinstance(found, Stored) else None

    def result(self, role: str) -> str | None:
        """The tensor of the first result of this role, or none."""
        return next((name for found, name in self.operation.results if found == role), None)

    def made(self, role: str) -> str:
        """The tensor of the first result of this role, which there is."""
        found = self.result(role)
        assert found is not None, f"{self.operation.name} makes no {role}"
        return found

    # ---------------------------------------------------------------- tensors

    def floats(self, name: str | None) -> str:
        """A pointer to a tensor's floats, of this pass's row if each pass has one; null without a tensor."""
        if name is None:
            return "0"
        row = self.row(name)
        return f"(float *)({self.address(name)})" + (f" + {row}" if row else "")

    def bytes(self, name: str | None) -> str:
        """A pointer to a tensor's bytes; null without a tensor."""
        return "0" if name is None else f"{self.address(name)}"

    def row(self, name: str) -> str:
        """The first element of this pass's row, "" where each pass sees the whole tensor."""
        tensor = self.tensor(name)
        if self.loop is None or tensor.category not in (SAVED_ACTIVATIONS, WORKING_TENSORS):
            return ""
        outlives = self.schedule.lifetimes[name][0] < self.loop.first
        if not outlives or tensor.shape[:1] != (self.loop.passes,):
            return ""
        return f"{TURN} * {math.prod(tensor.shape[1:])}"

    def batch(self, name: str) -> int:
        """Images that the operation sees of a tensor."""
        return 1 if self.row(name) else self.tensor(name).shape[0]

    def gradient(self, name: str | None) -> str:
        """The last arguments of kernels that put a gradient: whether it adds to what is there, and where."""
        return f"{int(name in self.operation.adds)}, {self.floats(name)}"

    def lowest(self, operand: Stored) -> int:
        """The level that code zero of an operand stands for: below zero behind values of both signs."""
        levels = self.facts.quantizers.get(operand.maker)
        return 0 if levels is None or levels.binary else levels.low

    # ---------------------------------------------------------------- numbers

    def number(self, expression: str) -> str:
        """How functions of operands name a number that is worked out before the first is called."""
        if expression not in self.held:
            self.held.append(expression)
        return f"held[{self.held.index(expression)}]"

    def size(self, name: str) -> str:
        """The size that a trained parameter stands for, as a number."""
        return f"size_of(*(const float *)({self.address(name)}))"

    def declared(self) -> str:
        """The declaration of the numbers."""
        return f"const float held[] = {{{', '.join(self.held) or '0.0f'}}};"

    # -------------------------------------------------------------- functions

    def function(self, kind: str, returns: str, parameters: str, body: str) -> str:
        """Declare an inlined function of this operation; its name."""
        name = f"{self.prefix}{kind}_{self.index}"
        if self._kinds[kind]:
            name = f"{name}_{self._kinds[kind]}"
        self._kinds[kind] += 1
        self.functions.append(f"OPERAND {returns} {name}({parameters}) {{ {body} }}")
        return name
