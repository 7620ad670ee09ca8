"""Which exponents a board keeps: those on the way to a loss, in as few variables as there are at a time.

Only the loss looks at an exponent (docs/integer-arithmetic.md, "Numbers"), so none is kept going back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from blockwise.integer.images import EXPONENT as OF_IMAGES
from devices.network import IMAGES
from devices.program.operation import Derived, Operand, Operation
from devices.program.schedule import Schedule


@dataclass(frozen=True, eq=False)
class Exponents:
    """The variables of a schedule's activations: none of an arithmetic without exponents."""

    schedule: Schedule
    kept: bool
    name: str = "exponents"

    @cached_property
    def slots(self) -> Mapping[str, int]:
        """Activation -> the number of its variable: free again behind its last reader."""
        last = {name: i for i, op in enumerate(self.schedule.operations) for name in self._read(op)}
        taken: dict[str, int] = {}
        live: dict[int, str] = {}
        for index, operation in enumerate(self.schedule.operations):
            for name in self._made(operation):
                free = (n for n in range(len(live) + 1) if last.get(live.get(n, ""), -1) <= index)
                taken[name] = next(free)
                live[taken[name]] = name
        return taken

    @property
    def count(self) -> int:
        """How many variables there are."""
        return max(self.slots.values(), default=-1) + 1

    def of(self, operand: Operand) -> str:
        """The exponent of an activation."""
        while isinstance(operand, Derived):
            operand = operand.inputs[0]
        if operand.maker == IMAGES:
            return str(OF_IMAGES)
        return f"{self.name}[{self.slots[operand.tensor]}]"

    def to(self, tensor: str) -> str:
        """The variable of an activation that is made."""
        return f"{self.name}[{self.slots[tensor]}]"

    def _read(self, operation: Operation) -> list[str]:
        """Activations whose exponents an operation going forward reads."""
        if not self.kept or operation.phase != "forward":
            return []
        names = []
        for role, operand in operation.operands:
            while isinstance(operand, Derived):
                operand = operand.inputs[0]
            if role == "input" and operand.maker != IMAGES:
                names.append(operand.tensor)
        return names

    def _made(self, operation: Operation) -> list[str]:
        """Activations and sums that it makes."""
        if not self.kept or operation.phase != "forward":
            return []
        layer = self.schedule.layers.get(operation.layer)
        if layer is None or layer.op.ends:
            return []
        return [name for role, name in operation.results if role == "output"]
