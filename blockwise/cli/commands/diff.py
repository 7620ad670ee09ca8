"""``run.py diff RUN RUN``: two finished runs beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from blockwise import report
from blockwise.cli import flags
from blockwise.experiment.finished import finished_run
from blockwise.system.exit_codes import FITS

DESCRIPTION = (
    "Set two finished runs beside each other: the settings that differ and, for each regime, the peak by "
    "category, the accuracies with their intervals, and the work. Nothing is planned or trained."
)


@dataclass(frozen=True)
class DiffOptions:
    """Which runs."""

    first: Annotated[Path, tyro.conf.Positional]
    """Folder of a run."""
    second: Annotated[Path, tyro.conf.Positional]
    """Folder of the run beside it."""


def run(arguments: Sequence[str]) -> int:
    """Print; returns the exit code."""
    options = flags.parse(
        DiffOptions(tyro.MISSING, tyro.MISSING), arguments, prog="run.py diff", description=DESCRIPTION
    )
    found = finished_run(options.first), finished_run(options.second)
    names = str(options.first), str(options.second)
    report.show(report.difference(*found, names), report.make_console())
    return FITS
