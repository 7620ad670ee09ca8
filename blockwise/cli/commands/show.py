"""``run.py show RUN``: the report of a finished run, from its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from blockwise import report
from blockwise.cli import flags
from blockwise.cli.seeds import print_seeds
from blockwise.experiment.finished import finished_run, finished_seeds
from blockwise.experiment.result import Result
from blockwise.experiment.seeds import Seeds
from blockwise.system import exit_codes
from blockwise.system.streams import print_json

DESCRIPTION = (
    "Print the report of a finished run again, or that of several seeds, without planning or training. The "
    "exit code is that of the run: 0 at least one regime fits, 3 none does, 1 every training diverged."
)


@dataclass(frozen=True)
class ShowOptions:
    """Which run, and how much of it."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run, or of the runs of --seeds."""
    full: Annotated[bool, arg(help="All tables, not only the first screen.")] = False
    quiet: Annotated[bool, arg(help="The verdict and the accuracy in one line.")] = False
    json: Annotated[bool, arg(help="The run's result.json, as this version reads it.")] = False


def run(arguments: Sequence[str]) -> int:
    """Print; returns the exit code."""
    options = flags.parse(ShowOptions(tyro.MISSING), arguments, prog="run.py show", description=DESCRIPTION)
    several = finished_seeds(options.run)
    if several is not None:
        return _show_seeds(*several, options)
    result = finished_run(options.run)
    if options.json:
        print_json(report.dumps(result))
    elif options.quiet:
        print(report.answer(result))
    else:
        folder = options.run if options.run.is_dir() else options.run.parent
        report.print_report(result, report.make_console(), folder, full=options.full)
    return exit_codes.of(fits=result.fits, diverged=result.diverged)


def _show_seeds(first: Result, found: Seeds, options: ShowOptions) -> int:
    print_seeds(first, found, as_json=options.json, quiet=options.quiet)
    return exit_codes.of(fits=first.fits, diverged=found.diverged)
