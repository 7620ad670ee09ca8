"""``run.py study memory``: the reference study's memory tables, and what a program needs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from blockwise import report
from blockwise.cli import flags
from blockwise.cli.commands.studying import RECORDS, Record, recorded_file
from blockwise.report import memory_study
from blockwise.studies.memory import measure
from blockwise.system.exit_codes import FITS
from blockwise.system.files import atomic_write, check_file, make_folder
from blockwise.system.sizes import MOST_IMAGES, check_size
from blockwise.system.streams import print_json, tell_then_write
from devices.boards import profile

DESCRIPTION = (
    "The reference study's memory tables from code: ResNet-20 at W32A32 and W3A3 by its formula, beside "
    "what a program holds at its peak, with every difference in bytes; and the sizes of known networks."
)


@dataclass(frozen=True)
class MemoryStudyOptions:
    """Flags of the command."""

    device: Annotated[str, arg(help="Board name or a profile, PATH.toml.")] = "stm32"
    batch_size: Annotated[int, arg(help="Images in a training step; inference takes one.")] = 1
    json: Annotated[bool, arg(help="Print every figure as JSON instead of tables.")] = False
    out: Annotated[
        Path | None, arg(metavar="FILE", help="Also write the JSON to this file.", help_behavior_hint="")
    ] = None
    record: Record = False

    def file(self) -> Path | None:
        """Where the JSON goes. Raises InputError if two files are asked for."""
        return recorded_file("memory.json", self.out) if self.record else self.out


def run(arguments: Sequence[str]) -> int:
    """Measure, print and, if asked, write; returns the exit code."""
    options = flags.parse(
        MemoryStudyOptions(), arguments, prog="run.py study memory", description=DESCRIPTION
    )
    out = _check(options)
    device = profile.load(options.device)
    study = measure(device, options.batch_size)
    text = json.dumps(study.to_json(), indent=1, ensure_ascii=False, allow_nan=False)

    def tell() -> None:
        if options.json:
            print_json(text)
        else:
            report.show(memory_study.render(study), report.make_console())

    write = None if out is None else partial(atomic_write, out, text + "\n")
    tell_then_write(tell, write)
    return FITS


def _check(options: MemoryStudyOptions) -> Path | None:
    """The file to write; refuses what cannot be, before any work. Raises InputError."""
    check_size("--batch-size", options.batch_size, most=MOST_IMAGES)
    out = options.file()
    if options.record:
        make_folder(RECORDS, "--record")
    if out is not None:
        check_file(out, "--record" if options.record else "--out")
    return out
