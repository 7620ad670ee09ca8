"""What integers and floats say differently in C: statements of operations, and what stands around them."""

from collections.abc import Sequence
from typing import Protocol

from blockwise.firmware.program import Firmware
from devices.program.operation import Operation


class Dialect(Protocol):
    """One firmware's arithmetic in C. All lines are without their indentation."""

    @property
    def headers(self) -> Sequence[str]:
        """The headers that step.c includes, as paths under ``blockwise/firmware/c``."""
        ...

    @property
    def statics(self) -> Sequence[str]:
        """Declarations of static variables, and of functions that operations share."""
        ...

    def operation(self, index: int, operation: Operation) -> Sequence[str]:
        """The statements of the function that performs an operation."""
        ...

    @property
    def functions(self) -> Sequence[str]:
        """The functions of blockwise.h that depend on the arithmetic, complete: init, the rate, checksum."""
        ...

    @property
    def declarations(self) -> Sequence[str]:
        """Their declarations, with comments."""
        ...


def dialect_of(firmware: Firmware) -> Dialect:
    """By the facts that a firmware has."""
    from blockwise.firmware.emit.integers import IntegerDialect

    return IntegerDialect(firmware)
