"""Where a plan's tensors lie on the chip: one array per run of RAM that holds any, and what is left beside.

The linker script, the emitted arrays and the emulators read the same objects, so that an address in the
firmware is the placement's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from devices.boards.profile import Device
from devices.errors import InputError
from devices.memory.arena import Placement, RamRun, runs_of


@dataclass(frozen=True)
class Span:
    """Addresses ``start`` .. ``end`` - 1."""

    name: str
    start: int
    size_bytes: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + self.size_bytes


@dataclass(frozen=True)
class RamArray(Span):
    """The array of one run of RAM: as high as the plan's tensors in it reach."""

    run: Span

    @property
    def section(self) -> str:
        """The section that the linker script pins at the array's address."""
        return f".{self.name.replace('blockwise_ram', 'arena')}"


@dataclass(frozen=True)
class MemoryMap:
    """What a program may use: flash for code and constants, all RAM, the reserve, and the arrays.

    ``flash`` is without the maker's boot stage, and without the ``slots`` that keep a training at its end.
    ``reserve`` is the end of one of the ``runs``.
    """

    flash: Span
    runs: tuple[Span, ...]
    reserve: Span
    arrays: tuple[RamArray, ...]
    boot_words: tuple[int, ...] = ()  # that the maker's boot stage looks for behind the vectors
    slots: Span | None = None

    @property
    def planned_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.size_bytes for array in self.arrays)


def heights_of(placement: Placement) -> dict[str, int]:
    """Bytes of each run, by its name, up to the end of its last tensor.

    Raises InputError for a placement that does not fit.
    """
    if not placement.fits:
        raise InputError(
            "firmware", got=f"a plan that is {placement.missing_bytes:,} bytes too large",
            wanted="one that fits the board", do="choose a smaller network or batch, or another regime",
        )  # fmt: skip
    leads = {run.name: run.lead(placement.alignment) for run in placement.runs}
    sizes = {buffer.name: buffer.size for buffer in placement.buffers}
    heights: dict[str, int] = {}
    for name, place in placement.places.items():
        end = place.offset - leads[place.run] + sizes[name]
        heights[place.run] = max(heights.get(place.run, 0), end)
    return heights


def memory_map(device: Device, heights: Mapping[str, int]) -> MemoryMap:
    """The board's memory where tensors take ``heights`` bytes of its runs, by the runs' names.

    Raises InputError for RAM or flash without an address, for no reserve, and for heights that no plan has.
    """
    runs = runs_of(device, device.reserve_bytes, heights)
    spans = tuple(Span(run.name, _known(device, run.name, run.start), run.size_bytes) for run in runs)
    for run in runs:
        missing = heights.get(run.name, 0) - run.room(device.alignment_bytes)
        if missing > 0:
            raise InputError(
                f"firmware for {device.name}", got=f"a plan that is {missing:,} bytes too large",
                wanted="one that fits its RAM", do="choose a smaller network or batch, or another regime",
            )  # fmt: skip
    return MemoryMap(
        _flash(device), spans, _reserve(device, runs, spans), tuple(_arrays(device, runs, spans, heights)),
        device.flash.boot_words if device.flash else (),
    )  # fmt: skip


def _known(device: Device, name: str, start: int | None) -> int:
    if start is None:
        raise InputError(
            f"firmware for {device.name}", got=f"RAM {name!r} without an address", wanted="all addresses",
            do="add start to that region of the board's profile",
        )  # fmt: skip
    return start


def _flash(device: Device) -> Span:
    flash = device.flash
    if flash is None or flash.start is None or not flash.program_room:
        external = device.flash_external
        raise InputError(
            f"firmware for {device.name}",
            got="external flash that is not known to be mapped" if external else "flash without an address",
            wanted="flash that the core runs programs from",
            do=f"add start{' and mapped_kib' if external else ''} to [flash] of a profile of your own",
        )
    return Span("FLASH", flash.start + flash.boot_bytes, flash.program_room)


def _reserve(device: Device, runs: Iterable[RamRun], spans: Iterable[Span]) -> Span:
    """Kept free by the placer: the end of one run."""
    for run, span in zip(runs, spans, strict=True):
        if run.reserve_bytes:
            return Span("RESERVE", span.end - run.reserve_bytes, run.reserve_bytes)
    raise InputError(
        f"firmware for {device.name}", got="no reserve", wanted="RAM for stack and statics",
        do="set reserve_kib of the board's profile to 1 or more",
    )  # fmt: skip


def _arrays(
    device: Device, runs: Iterable[RamRun], spans: Iterable[Span], heights: Mapping[str, int]
) -> Iterable[RamArray]:
    """Numbered in the order of the runs, those without tensors left out."""
    holding = [pair for pair in zip(runs, spans, strict=True) if heights.get(pair[0].name)]
    for number, (run, span) in enumerate(holding):
        start = span.start + run.lead(device.alignment_bytes)
        yield RamArray(f"blockwise_ram{number}", start, heights[run.name], span)
