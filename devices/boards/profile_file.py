"""One profile as text: the keys a TOML file may hold, and the board it describes.

:func:`parse` refuses a file that is incomplete or that contradicts itself.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devices.boards.board import KIB, RESERVE_BYTES, Device, Region
from devices.boards.flash import Flash
from devices.errors import InputError, unknown_name


def parse(text: str, file: str = "<profile>") -> Device:
    """The board that this TOML text describes. Every error begins with `file` and names the key."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError, not only its TOMLDecodeError: an integer of 5000 digits raises the former.
        raise InputError(
            file,
            got=f"text that does not parse as TOML ({error})",
            wanted="a board's profile in TOML",
            do="correct that line",
        ) from error
    try:
        return _device(raw)
    except InputError as error:
        subject = f"{file}: {error.subject}"
        raise InputError(subject, got=error.got, wanted=error.wanted, do=error.do) from error


MOST_KIB = 2**32 // KIB
"""What addresses of 32 bits reach."""


@dataclass(frozen=True)
class _Key:
    """What a key of the file may hold: its type, what to call that, the least and the largest number.

    The type float takes whole numbers too; its values are above 0 and finite.
    """

    type: type
    wanted: str
    least: int | None = None
    default: Any = None
    required: bool = True
    most: int = 2**64


_DEVICE_KEYS = {
    "name": _Key(str, "a name such as 'my-board'"),
    "title": _Key(str, "the board's name in words"),
    "core": _Key(str, "the core's name"),
    "clock_mhz": _Key(int, "a whole number of MHz, 1 to 100,000", 1, most=100_000),
    "ram_kib": _Key(int, f"a whole number of KiB, 1 to {MOST_KIB:,}", 1, most=MOST_KIB),
    "flash_kib": _Key(int, f"a whole number of KiB, 0 to {MOST_KIB:,}", 0, most=MOST_KIB),
    "flash_external": _Key(bool, "true or false"),
    "fpu": _Key(bool, "true or false"),
    "dsp": _Key(bool, "true or false"),
    "vector": _Key(str, "the vector unit's name or ''", default="", required=False),
    "alignment_bytes": _Key(int, "a power of two, up to 4,096", 1, default=8, required=False, most=4096),
    "reserve_kib": _Key(
        int, "a whole number of KiB, 0 or more", 0, default=RESERVE_BYTES // KIB, required=False
    ),
    "aliases": _Key(list, "a list of names", default=(), required=False),
    "regions": _Key(list, "a list of [[regions]] tables"),
    "flash": _Key(dict, "a [flash] table", required=False),
    "sources": _Key(dict, "a [sources] table"),
}
_REGION_KEYS = {
    "name": _Key(str, "the region's name"),
    "kind": _Key(str, "'data' or 'code'"),
    "start": _Key(int, "an address such as 0x2000_0000", 0, required=False),
    "size_kib": _Key(int, f"a whole number of KiB, 1 to {MOST_KIB:,}", 1, most=MOST_KIB),
}
_FLASH_KEYS = {
    "erase_bytes": _Key(int, "the bytes of one erase unit, 1 or more", 1),
    "erase_ms": _Key(float, "milliseconds above 0", required=False),
    "program_bytes": _Key(int, "the bytes of one program operation, 1 or more", 1),
    "program_us": _Key(float, "microseconds above 0", required=False),
    "read_bytes_per_s": _Key(int, "bytes per second, 1 or more", 1, required=False),
    "erase_cycles": _Key(int, "the erases that each unit survives, 1 or more", 1),
    "part": _Key(str, "the name of the external flash chip", default="", required=False),
    "start": _Key(int, "an address such as 0x0800_0000", 0, required=False),
    "mapped_kib": _Key(int, "a whole number of KiB, 0 or more", 0, default=0, required=False),
    "boot_bytes": _Key(int, "the bytes of the maker's boot stage, 0 or more", 0, default=0, required=False),
    "boot_words": _Key(list, "a list of words such as [0x1234_5678]", default=(), required=False),
    "source": _Key(str, "where these figures were read"),
}
_SOURCE_KEYS = {
    "ram": _Key(str, "where the RAM sizes were read"),
    "flash": _Key(str, "where the flash size was read"),
    "core": _Key(str, "where the core was read"),
    "clock": _Key(str, "where the clock was read", default="", required=False),
    "addresses": _Key(str, "where the addresses were read", default="", required=False),
}
_MAY_BE_EMPTY = ("vector",)
_HOW = {
    int: "write digits without quotes or a point",
    float: "write a number without quotes",
    bool: "write true or false without quotes",
    str: "write it between quotes",
    list: "write it as a list",
    dict: "write it as a table",
}
_SLUG = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


def _device(raw: Mapping[str, object]) -> Device:
    values = _checked(raw, _DEVICE_KEYS, "")
    declared_kib = values.pop("ram_kib")
    values["flash_bytes"] = values.pop("flash_kib") * KIB
    values["reserve_bytes"] = values.pop("reserve_kib") * KIB
    values["regions"] = tuple(_region(i, entry) for i, entry in enumerate(values["regions"], 1))
    values["aliases"] = tuple(_slug(alias, "aliases") for alias in values["aliases"])
    sources = _checked(values["sources"], _SOURCE_KEYS, "sources: ")
    values["sources"] = tuple((figure, source) for figure, source in sources.items() if source)
    _slug(values["name"], "name")
    values["flash"] = _flash(values)
    device = Device(**values)
    if device.ram_bytes != declared_kib * KIB:
        raise InputError(
            "ram_kib",
            got=f"{declared_kib} KiB",
            wanted=f"{device.ram_bytes // KIB} KiB, the sum of the data regions",
            do="correct ram_kib or the regions",
        )
    return device


def _flash(values: Mapping[str, Any]) -> Flash | None:
    """The [flash] table, which a profile may lack; size and place come from the board's own keys."""
    if values["flash"] is None:
        return None
    figures = _checked(values["flash"], _FLASH_KEYS, "flash: ")
    figures["mapped_bytes"] = figures.pop("mapped_kib") * KIB
    figures["boot_words"] = tuple(_word(word) for word in figures["boot_words"])
    return Flash(size_bytes=values["flash_bytes"], external=values["flash_external"], **figures)


def _word(word: object) -> int:
    if type(word) is not int or not 0 <= word < 2**32:
        raise InputError("flash: boot_words", got=repr(word), wanted="words of 32 bits", do=_HOW[int])
    return word


def _region(index: int, raw: object) -> Region:
    label = f"region {index}"
    if not isinstance(raw, dict):
        raise InputError(
            f"regions: {label}",
            got=repr(raw),
            wanted="a table",
            do="write each region under its own [[regions]]",
        )
    if isinstance(raw.get("name"), str):
        label = f"region {raw['name']!r}"
    values = _checked(raw, _REGION_KEYS, f"{label}: ")
    size_bytes = values.pop("size_kib") * KIB
    return Region(size_bytes=size_bytes, **values)


def _checked(raw: Mapping[str, object], keys: Mapping[str, _Key], where: str) -> dict[str, Any]:
    """The table's values with defaults filled in; `where` goes before each key in an error."""
    for name in raw:  # before the missing keys: a misspelt key is one of each
        if name not in keys:
            raise unknown_name(f"{where}key", name, keys)
    for name, key in keys.items():
        if key.required and name not in raw:
            raise InputError(f"{where}{name}", got="nothing", wanted=key.wanted, do="add the key")
        if name in raw:
            _check_value(f"{where}{name}", raw[name], key, empty=name in _MAY_BE_EMPTY)
    return {name: raw.get(name, key.default) for name, key in keys.items()}


def _check_value(subject: str, value: object, key: _Key, *, empty: bool) -> None:
    types = (float, int) if key.type is float else (key.type,)
    if type(value) not in types:  # not isinstance: true would pass for the integer 1
        raise InputError(subject, got=repr(value), wanted=key.wanted, do=_HOW[key.type])
    beyond = isinstance(value, int) and key.least is not None and not key.least <= value <= key.most
    not_a_time = key.type is float and isinstance(value, int | float) and not 0 < value < math.inf
    if beyond or not_a_time:
        raise InputError(subject, got=value, wanted=key.wanted, do="correct the figure")
    if isinstance(value, str) and not value.isprintable():
        raise InputError(
            subject, got=f"{value[:40]!r}, with a control character", wanted="a text in one line",
            do="leave the character out",
        )  # fmt: skip
    if isinstance(value, str) and not value.strip() and not empty:
        raise InputError(subject, got="an empty text", wanted=key.wanted, do="fill it in")


def _slug(name: object, key: str) -> str:
    if not isinstance(name, str) or not _SLUG.fullmatch(name):
        raise InputError(
            key,
            got=repr(name),
            wanted="a name in lower case such as 'my-board'",
            do="use letters a-z, digits and single hyphens",
        )
    return name
