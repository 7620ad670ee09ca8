"""Small pieces of C text."""

from collections.abc import Iterable, Mapping

from blockwise.firmware.program import Firmware

Value = int | str
IN_FLASH = "blockwise_frozen"
"""The array of weights that are read in place, or copied where a block's turn comes."""
FLASH_ALIGNMENT = 8
"""As of tensors in RAM: kernels read whole words."""


def indented(lines: Iterable[str]) -> str:
    """Lines of a function's body."""
    return "".join(f"    {line}\n" for line in lines)


def literal(struct: str, fields: Mapping[str, Value]) -> str:
    """A compound literal of a struct, its fields by name."""
    inside = ", ".join(f".{name} = {value}" for name, value in fields.items())
    return f"(struct {struct}){{{inside}}}"


def address(firmware: Firmware, tensor: str) -> str:
    """Where a tensor lies: its array and its offset there."""
    if tensor in firmware.in_flash:
        return f"{IN_FLASH} + {flash_offsets(firmware)[tensor]}"
    spot = firmware.spots[tensor]
    return f"blockwise_ram{spot.stretch} + {spot.offset}"


def flash_offsets(firmware: Firmware) -> dict[str, int]:
    """Where weights that lie in flash by name begin in their array; the last name, "", is its end."""
    found, end = {}, 0
    for name in firmware.constants:
        found[name] = end
        end += firmware.schedule.tensors[name].aligned_bytes(FLASH_ALIGNMENT)
    return found | {"": end}


def comment(text: str) -> str:
    """One line."""
    return f"/* {text.replace('*/', '* /')} */"
