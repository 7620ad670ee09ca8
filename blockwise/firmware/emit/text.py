"""Small pieces of C text."""

from collections.abc import Iterable, Mapping

from blockwise.firmware.program import Firmware

Value = int | str


def indented(lines: Iterable[str]) -> str:
    """Lines of a function's body."""
    return "".join(f"    {line}\n" for line in lines)


def literal(struct: str, fields: Mapping[str, Value]) -> str:
    """A compound literal of a struct, its fields by name."""
    inside = ", ".join(f".{name} = {value}" for name, value in fields.items())
    return f"(struct {struct}){{{inside}}}"


def address(firmware: Firmware, tensor: str) -> str:
    """Where a tensor lies: its array and its offset there."""
    spot = firmware.spots[tensor]
    return f"blockwise_ram{spot.stretch} + {spot.offset}"


def comment(text: str) -> str:
    """One line."""
    return f"/* {text.replace('*/', '* /')} */"
