"""What integers and floats say differently in C: statements of operations, and what stands around them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from blockwise.firmware.float_facts import FloatFacts
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

    def operands(self, index: int, operation: Operation) -> Sequence[str]:
        """The functions that an operation alone needs, one a line."""
        ...

    def operation(self, index: int, operation: Operation) -> Sequence[str]:
        """The statements of the function that performs an operation."""
        ...

    @property
    def functions(self) -> Sequence[str]:
        """The functions of blockwise.h that depend on the arithmetic, complete: init, the rate, checksum."""
        ...

    @property
    def constant_bytes(self) -> int:
        """Of first values in flash, beside those of ``given``."""
        ...

    @property
    def kept(self) -> str:
        """A variable of 32 bits that outlives a step beside the state and the rate; "0" if there is none."""
        ...

    @property
    def rate_bits(self) -> str:
        """The learning rate as blockwise_set_rate_bits takes it, an expression."""
        ...

    @property
    def sources(self) -> Mapping[str, str]:
        """Further files of the project that are compiled with it, by name."""
        ...

    @property
    def declarations(self) -> Sequence[str]:
        """Their declarations, with comments."""
        ...


def dialect_of(firmware: Firmware) -> Dialect:
    """By the facts that a firmware has."""
    from blockwise.firmware.emit.floats import FloatDialect
    from blockwise.firmware.emit.integers import IntegerDialect

    return FloatDialect(firmware) if isinstance(firmware.arithmetic, FloatFacts) else IntegerDialect(firmware)
