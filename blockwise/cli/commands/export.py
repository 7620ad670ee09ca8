"""``run.py export RUN``: the weights of a finished run, packed as a board stores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from blockwise.cli import flags
from blockwise.system import exit_codes
from blockwise.system.files import check_file
from devices.boards.profile import KIB

DESCRIPTION = (
    "Write the weights of a finished run as packed codes with what decodes them, in one safetensors file "
    "whose header says which layer has which bits, how images are normalised and what the classes are."
)


@dataclass(frozen=True)
class ExportOptions:
    """Which weights, and where to."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    regime: Annotated[
        str | None,
        arg(
            metavar="REGIME",
            help="Whose weights.",
            help_behavior_hint="(default: of the regimes that fit the board the most accurate)",
        ),
    ] = None
    out: Annotated[
        Path | None,
        arg(
            metavar="FILE",
            help="Where to write.",
            help_behavior_hint="(default: REGIME.safetensors in the run's folder)",
        ),
    ] = None


def run(arguments: Sequence[str]) -> int:
    """Export; returns the exit code."""
    options = flags.parse(
        ExportOptions(tyro.MISSING), arguments, prog="run.py export", description=DESCRIPTION
    )
    if options.out is not None:
        check_file(options.out, "--out")
    from blockwise.experiment.export import export  # safetensors and the training code: only when needed

    written = export(options.run, options.regime, options.out)
    bits = 8 * written.weight_bytes / written.weights
    if written.why:
        print(f"{written.regime}: {written.why} (--regime takes another)")
    print(
        f"{written.path}: {written.weights:,} weights in {written.weight_bytes / KIB:,.1f} KiB "
        f"({bits:.2f} bits each, with what decodes them); {written.layers} quantized layers"
    )
    return exit_codes.FITS
