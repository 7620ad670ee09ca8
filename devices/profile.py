"""What a board offers a program: its RAM region by region, its flash and its core.

A profile is one TOML file. Every figure in it names its source, and :func:`parse` refuses a file
that is incomplete or that contradicts itself: a wrong figure here is a wrong verdict later.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from devices.errors import InputError, unknown_name

KIB = 1024
"""Bytes per KiB; memories are sized in KiB, so profiles are too."""

ADDRESS_SPACE_BYTES = 2**32
"""Every supported core has 32-bit addresses."""

KINDS = ("code", "data")
"""A data region can hold tensors; a code region (ITCM, cache) is listed but never counted."""

PROFILES = Path(__file__).parent / "profiles"


@dataclass(frozen=True)
class Region:
    """One stretch of RAM. `start` is its first address, None where it is not known for certain."""

    name: str
    kind: Literal["data", "code"]
    start: int | None
    size_bytes: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name(f"region {self.name!r}: kind", self.kind, KINDS)
        if self.size_bytes <= 0:
            raise InputError(
                f"region {self.name!r}: size",
                got=f"{self.size_bytes} bytes",
                wanted="a positive size",
                do="correct the size",
            )
        if self.start is not None and not 0 <= self.start <= self.end <= ADDRESS_SPACE_BYTES:
            raise InputError(
                f"region {self.name!r}: start",
                got=f"{self.start:#x} with {self.size_bytes} bytes",
                wanted="a region inside 32-bit addresses",
                do="correct start or the size",
            )

    @property
    def end(self) -> int:
        """The first address past the region (of a region at 0 if the start is unknown)."""
        return (self.start or 0) + self.size_bytes


@dataclass(frozen=True)
class Device:
    """A board. Sizes in bytes, clock in MHz (the highest the part is sold for).

    `flash_bytes` is 0 where flash is external and its size is the board maker's choice. `fpu` is a
    single-precision unit at least, `dsp` packed 16-bit multiply-accumulate, `vector` the name of a
    wider vector unit or "". `alignment_bytes` is what each tensor is rounded up to. `sources` pairs
    a figure ("ram", "flash", "core", ...) with where it was read.
    """

    name: str
    title: str
    core: str
    clock_mhz: int
    regions: tuple[Region, ...]
    flash_bytes: int
    flash_external: bool
    fpu: bool
    dsp: bool
    vector: str = ""
    alignment_bytes: int = 8
    aliases: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _check_core(self)
        _check_flash(self)
        _check_regions(self.regions)

    @property
    def ram_bytes(self) -> int:
        """All RAM that can hold tensors, wherever it lies."""
        return sum(region.size_bytes for region in self.regions if region.kind == "data")

    @property
    def runs(self) -> tuple[tuple[Region, ...], ...]:
        """The data regions grouped where their addresses touch: an arena spans one group.

        A region without an address is a group of its own, because nothing shows that it touches.
        """
        data = [region for region in self.regions if region.kind == "data"]
        placed = sorted((r for r in data if r.start is not None), key=lambda r: r.start or 0)
        groups: list[tuple[Region, ...]] = []
        for region in placed:
            if groups and groups[-1][-1].end == region.start:
                groups[-1] += (region,)
            else:
                groups.append((region,))
        return (*groups, *((region,) for region in data if region.start is None))

    @property
    def largest_contiguous_bytes(self) -> int:
        """The longest run of data regions whose addresses touch."""
        return max(sum(region.size_bytes for region in run) for run in self.runs)


def catalogue() -> dict[str, Device]:
    """The built-in boards by name. The files are read once; the dict is the caller's own."""
    return dict(_built_in())


def load(name_or_path: str | Path) -> Device:
    """The board of that name or alias, in any case, or the one described by that TOML file.

    Raises:
        InputError: no such board, or a file that cannot be read or does not describe one.
    """
    if isinstance(name_or_path, Path):
        return read(name_or_path)
    name, named = name_or_path.lower(), by_any_name(_built_in())
    if name in named:
        return named[name]
    if name.endswith(".toml") or os.path.isfile(name_or_path):
        return read(Path(name_or_path))
    near = get_close_matches(name, named, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    do = f"{hint}a path to a .toml profile works too"
    raise unknown_name("device", name_or_path, _built_in(), do)


def read(path: Path) -> Device:
    """The board that the file describes; raises :class:`InputError` if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows prepend a byte order mark
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise InputError(
            str(path),
            got=reason,
            wanted="a readable TOML file",
            do="check the path and its permissions",
        ) from error
    return parse(text, str(path))


def parse(text: str, file: str = "<profile>") -> Device:
    """The board that this TOML text describes. Every error begins with `file` and names the key."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError, not only its TOMLDecodeError: an integer of 5000 digits raises the former.
        raise InputError(
            file,
            got=f"TOML that does not parse ({error})",
            wanted="valid TOML",
            do="correct that line",
        ) from error
    try:
        return _device(raw)
    except InputError as error:
        subject = f"{file}: {error.subject}"
        raise InputError(subject, got=error.got, wanted=error.wanted, do=error.do) from error


def read_folder(folder: Path) -> dict[str, Device]:
    """The boards of every .toml file in `folder`, by name; a name used twice raises."""
    files = {path.name: read(path) for path in sorted(folder.glob("*.toml"))}
    by_any_name(files)
    return {device.name: device for device in files.values()}


def by_any_name(files: Mapping[str, Device]) -> dict[str, Device]:
    """The boards by name and by each alias, from the boards by file.

    Raises:
        InputError: a name or an alias is used twice.
    """
    owners: dict[str, str] = {}
    for file, device in files.items():
        for name in (device.name, *device.aliases):
            if name in owners:
                raise InputError(
                    f"{file}: name or alias {name!r}",
                    got=f"a name that {owners[name]} uses already",
                    wanted="each name once",
                    do="rename one of them",
                )
            owners[name] = file
    return {name: files[file] for name, file in owners.items()}


@cache
def _built_in() -> dict[str, Device]:
    return read_folder(PROFILES)


def _check_core(device: Device) -> None:
    if device.clock_mhz <= 0:
        raise InputError("clock_mhz", got=device.clock_mhz, wanted="1 or more", do="correct the clock")
    if device.alignment_bytes <= 0 or device.alignment_bytes & (device.alignment_bytes - 1):
        raise InputError(
            "alignment_bytes",
            got=device.alignment_bytes,
            wanted="a power of two",
            do="8 suits every core here",
        )


def _check_flash(device: Device) -> None:
    if device.flash_bytes < 0 or (device.flash_bytes == 0 and not device.flash_external):
        raise InputError(
            "flash_kib",
            got=f"{device.flash_bytes // KIB} with flash on the chip",
            wanted="a positive size, or flash_external = true",
            do="correct one of the two",
        )


def _check_regions(regions: tuple[Region, ...]) -> None:
    if not any(region.kind == "data" for region in regions):
        raise InputError(
            "regions",
            got="no region of kind 'data'",
            wanted="at least one",
            do="add the RAM that tensors may use",
        )
    names = [region.name for region in regions]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                "regions",
                got=f"two regions named {name!r}",
                wanted="each name once",
                do="rename one of them",
            )
    _check_overlap(regions)


def _check_overlap(regions: tuple[Region, ...]) -> None:
    placed = sorted((r for r in regions if r.start is not None), key=lambda r: r.start or 0)
    for low, high in pairwise(placed):
        if low.end > (high.start or 0):
            where = f"{low.name!r} ends at {low.end:#x}, {high.name!r} starts at {high.start:#x}"
            raise InputError(
                "regions",
                got=f"{low.name!r} and {high.name!r} overlapping",
                wanted="separate addresses",
                do=f"{where}: correct one",
            )


@dataclass(frozen=True)
class _Key:
    """What a key of the file may hold: its type, what to call that, the least number allowed."""

    type: type
    wanted: str
    least: int | None = None
    default: Any = None
    required: bool = True


_DEVICE_KEYS = {
    "name": _Key(str, "a name such as 'my-board'"),
    "title": _Key(str, "the board's name in words"),
    "core": _Key(str, "the core's name"),
    "clock_mhz": _Key(int, "a whole number of MHz, 1 or more", 1),
    "ram_kib": _Key(int, "a whole number of KiB, 1 or more", 1),
    "flash_kib": _Key(int, "a whole number of KiB, 0 or more", 0),
    "flash_external": _Key(bool, "true or false"),
    "fpu": _Key(bool, "true or false"),
    "dsp": _Key(bool, "true or false"),
    "vector": _Key(str, "the vector unit's name or ''", default="", required=False),
    "alignment_bytes": _Key(int, "a power of two", 1, default=8, required=False),
    "aliases": _Key(list, "a list of names", default=(), required=False),
    "regions": _Key(list, "a list of [[regions]] tables"),
    "sources": _Key(dict, "a [sources] table"),
}
_REGION_KEYS = {
    "name": _Key(str, "the region's name"),
    "kind": _Key(str, "'data' or 'code'"),
    "start": _Key(int, "an address such as 0x2000_0000", 0, required=False),
    "size_kib": _Key(int, "a whole number of KiB, 1 or more", 1),
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
    bool: "write true or false without quotes",
    str: "write it between quotes",
    list: "write it as a list",
    dict: "write it as a table",
}
_SLUG = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


def _device(raw: Mapping[str, object]) -> Device:
    values = _checked(raw, _DEVICE_KEYS, "")
    declared_kib, flash_kib = values.pop("ram_kib"), values.pop("flash_kib")
    values["regions"] = tuple(_region(i, entry) for i, entry in enumerate(values["regions"], 1))
    values["aliases"] = tuple(_slug(alias, "aliases") for alias in values["aliases"])
    sources = _checked(values["sources"], _SOURCE_KEYS, "sources: ")
    values["sources"] = tuple((figure, source) for figure, source in sources.items() if source)
    _slug(values["name"], "name")
    device = Device(flash_bytes=flash_kib * KIB, **values)
    if device.ram_bytes != declared_kib * KIB:
        raise InputError(
            "ram_kib",
            got=f"{declared_kib} KiB",
            wanted=f"{device.ram_bytes // KIB} KiB, the sum of the data regions",
            do="correct ram_kib or the regions",
        )
    return device


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
    if type(value) is not key.type:  # not isinstance: true would pass for the integer 1
        raise InputError(subject, got=repr(value), wanted=key.wanted, do=_HOW[key.type])
    if isinstance(value, int) and key.least is not None and value < key.least:
        raise InputError(subject, got=value, wanted=key.wanted, do="correct the figure")
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
