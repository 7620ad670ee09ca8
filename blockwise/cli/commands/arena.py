"""``run.py arena FILE.csv --capacity BYTES``: offsets for the buffers of a MiniMalloc file."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from blockwise.cli import flags
from blockwise.report.packing import svg
from blockwise.system import exit_codes
from blockwise.system.files import atomic_write, check_file, make_folder
from blockwise.system.streams import print_json
from devices.errors import InputError
from devices.memory.arena import Arena, csv_form, pack
from devices.memory.arena.buffers import MAX_NUMBER

DESCRIPTION = (
    "Place buffers with known lifetimes in one stretch of memory. Writes the file again with an offset for "
    "each buffer, and a picture. Exit code 0: fits, 3: does not fit."
)


@dataclass(frozen=True)
class ArenaOptions:
    """What is placed, in how much memory, and how long may be searched."""

    file: Annotated[Path, tyro.conf.Positional]
    """CSV file with the columns id, lower, upper (exclusive), size."""
    capacity: int
    """Bytes of the memory."""
    time_limit: float = 10.0
    """Seconds that may be spent where the quick rules do not meet the capacity."""
    out: Path = Path(".")
    """Folder for the file with offsets and the picture."""
    json: bool = False
    """Print the result as JSON."""
    quiet: bool = False
    """Print the verdict only."""


@dataclass(frozen=True)
class Outcome:
    """A packed arena, the capacity it was meant for, the seconds it was given and those it took."""

    arena: Arena
    capacity: int
    time_limit: float
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether the arena is no higher than the capacity."""
        return self.arena.height <= self.capacity

    @property
    def verdict(self) -> str:
        """One line."""
        arena = self.arena
        if self.fits:
            return f"fits: {arena.height:,} of {self.capacity:,} bytes"
        if self.no_plan_fits:
            surely = "no plan fits"
        else:
            surely = f"none that fits was found in {self.time_limit:g} s, but one may exist"
        return f"does not fit: {arena.height:,} bytes, {self.capacity:,} there are; {surely}"

    @property
    def no_plan_fits(self) -> bool:
        """Whether that is proven."""
        return self.arena.proven_bound > self.capacity

    def lines(self) -> list[tuple[str, str]]:
        """What is printed under the verdict."""
        arena = self.arena
        if arena.proven:
            certainty = "no plan is lower"
        elif arena.proven_bound > arena.bound:
            certainty = f"no plan is below {arena.proven_bound:,}"
        else:
            certainty = "a lower plan may exist"
        return [
            ("buffers", f"{len(arena.buffers):,}"),
            ("height", f"{arena.height:,} bytes ({certainty})"),
            ("lower bound", f"{arena.bound:,} bytes, the peak of live bytes"),
            ("gap", f"{arena.gap:.2%}"),
            ("capacity", f"{self.capacity:,} bytes"),
            ("method", arena.method),
            ("time", f"{self.seconds:.3f} s"),
        ]

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        arena = self.arena
        return {
            "fits": self.fits, "no_plan_fits": self.no_plan_fits, "height": arena.height,
            "lower_bound": arena.bound, "gap": arena.gap, "proven_bound": arena.proven_bound,
            "proven": arena.proven, "capacity": self.capacity, "alignment": arena.alignment,
            "method": arena.method, "seconds": self.seconds,
            "offsets": dict(arena.offsets),
        }  # fmt: skip


def run(arguments: Sequence[str]) -> int:
    """Place, write and print as ``arguments`` say; returns the exit code."""
    options = flags.parse(
        ArenaOptions(tyro.MISSING, tyro.MISSING), arguments, prog="run.py arena", description=DESCRIPTION
    )
    table = _checked(options)
    targets = [_target(options, suffix) for suffix in (".csv", ".svg")]
    started = time.perf_counter()
    arena = pack(table.buffers, table.alignment, capacity=options.capacity, time_limit=options.time_limit)
    outcome = Outcome(arena, options.capacity, options.time_limit, time.perf_counter() - started)
    _show(outcome, options)
    for target, text in zip(
        targets, (csv_form.dumps(arena, table.others), svg(arena, options.capacity)), strict=True
    ):
        atomic_write(target, text)
    if not options.json and not options.quiet:
        print(f"  {'written':<12}{', '.join(map(str, targets))}")
    return exit_codes.FITS if outcome.fits else exit_codes.NONE_FITS


def _checked(options: ArenaOptions) -> csv_form.Table:
    """The file's buffers. Raises InputError for flags out of range and for what cannot be placed."""
    if not 1 <= options.capacity < MAX_NUMBER:
        raise InputError("--capacity", got=options.capacity, wanted="1 to 2^48 bytes", do="change it")
    if not 0 <= options.time_limit < math.inf:
        raise InputError("--time-limit", got=options.time_limit, wanted="0 seconds or more", do="change it")
    table = csv_form.read(options.file)
    if table.offsets is not None:
        raise InputError(
            str(options.file), got="a column 'offset'", wanted="buffers that may be placed freely",
            do="remove the column",
        )  # fmt: skip
    return table


def _target(options: ArenaOptions, suffix: str) -> Path:
    """Where a result goes. Raises InputError if that is the input, or cannot be written."""
    target = options.out / f"{options.file.stem}-with-offsets{suffix}"
    if target.resolve() == options.file.resolve():
        raise InputError(
            f"--out {options.out}", got=f"{target}, the input itself", wanted="another place for the result",
            do="choose another folder",
        )  # fmt: skip
    make_folder(options.out, "--out")
    check_file(target, "--out")
    return target


def _show(outcome: Outcome, options: ArenaOptions) -> None:
    """Before anything is written: a full disk must not take the answer along."""
    if options.json:
        print_json(json.dumps(outcome.to_json(), indent=2, ensure_ascii=False))
        return
    print(outcome.verdict)
    if not options.quiet:
        for name, value in outcome.lines():
            print(f"  {name:<12}{value}")
