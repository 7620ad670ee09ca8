"""What a board offers a program: its RAM region by region, its flash and its core."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from devices.boards.flash import Flash
from devices.errors import InputError, unknown_name

KIB = 1024
"""Bytes per KiB; memories are sized in KiB, so profiles are too."""

ADDRESS_SPACE_BYTES = 2**32
"""Every supported core has 32-bit addresses."""

KINDS = ("code", "data")
"""A data region can hold tensors; a code region (ITCM, cache) is listed but never counted."""

RESERVE_BYTES = 8 * KIB
"""RAM kept for stack, system and statics where a profile does not say."""


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

    `flash_bytes` is 0 where flash is external and its size is the board maker's choice; `flash` is
    None where a profile does not say how it is written. `fpu` is a single-precision unit at least,
    `dsp` packed 16-bit multiply-accumulate, `vector` the name of a wider vector unit or "".
    `alignment_bytes` is what each tensor is rounded up to, `reserve_bytes` the RAM kept for stack,
    system and statics. `sources` pairs a figure ("ram", "flash", "core", ...) with where it was read.
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
    flash: Flash | None = None
    reserve_bytes: int = RESERVE_BYTES

    def __post_init__(self) -> None:
        _check_core(self)
        _check_flash(self)
        _check_regions(self.regions)
        _check_reserve(self)

    @property
    def ram_bytes(self) -> int:
        """All RAM that can hold tensors, wherever it lies."""
        return sum(region.size_bytes for region in self.regions if region.kind == "data")

    @property
    def usable_bytes(self) -> int:
        """RAM for tensors: all of it without what is kept for stack and system."""
        return self.ram_bytes - self.reserve_bytes

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
    flash = device.flash
    if flash and (flash.size_bytes, flash.external) != (device.flash_bytes, device.flash_external):
        raise InputError(
            "flash",
            got=f"{flash.size_bytes} bytes, external {flash.external}",
            wanted=f"{device.flash_bytes} bytes, external {device.flash_external}, as the device says",
            do="correct one of the two",
        )


def _check_reserve(device: Device) -> None:
    if not 0 <= device.reserve_bytes < device.largest_contiguous_bytes:
        raise InputError(
            "reserve_kib",
            got=f"{device.reserve_bytes / KIB:g}",
            wanted=f"0 or more, below the largest run of {device.largest_contiguous_bytes / KIB:g} KiB",
            do="set what stack, system and statics take",
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
