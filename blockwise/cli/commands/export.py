"""``run.py export RUN``: the network of a finished run in one file, as a board needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import arg

from blockwise.cli import flags
from blockwise.system import exit_codes
from blockwise.system.files import atomic_write, check_file
from devices.boards.profile import KIB
from devices.errors import InputError

if TYPE_CHECKING:
    from blockwise.experiment.export import Export

DESCRIPTION = (
    "Write a trained network of a finished run in one safetensors file that holds all that a program needs "
    "to predict: packed weights, constants of the input, every step with its geometry, quantizers, classes."
)


NETWORK = ".safetensors"
EXPORTED = (NETWORK, ".npz")


@dataclass(frozen=True)
class ExportOptions:
    """Which network, and where to."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    regime: Annotated[
        str | None,
        arg(
            metavar="REGIME",
            help="Whose network.",
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
    test_samples: Annotated[
        Path | None,
        arg(
            metavar="FILE.npz",
            help="Also write the test samples as bytes (x_test, y_test), to try a program on.",
            help_behavior_hint="(default: none)",
        ),
    ] = None


def run(arguments: Sequence[str]) -> int:
    """Export; returns the exit code."""
    options = flags.parse(
        ExportOptions(tyro.MISSING), arguments, prog="run.py export", description=DESCRIPTION
    )
    for flag, path in (("--out", options.out), ("--test-samples", options.test_samples)):
        if path is not None:
            check_file(path, flag)
            _check_own(path, flag, options)
    from blockwise.experiment.export import export, test_samples  # the training code: only when needed

    samples = None if options.test_samples is None else test_samples(options.run)
    _tell(export(options.run, options.regime, options.out), asked=options.regime is not None)
    if options.test_samples is not None and samples is not None:
        atomic_write(options.test_samples, samples.payload)
        print(f"{options.test_samples}: {samples.count:,} test samples as bytes, with their classes")
    return exit_codes.FITS


def _check_own(path: Path, flag: str, options: ExportOptions) -> None:
    """Refuse files that the run holds, but for what was exported before, and one file for both."""
    from blockwise.experiment.initial.weights import KEPT  # beside training code

    place = path.resolve()
    within = place.is_relative_to(options.run.resolve())
    if within and place.exists() and (place.suffix not in EXPORTED or place.name == KEPT):
        raise InputError(
            f"{flag} {path}", got="a file of the run itself", wanted="one of its own", do="name another file"
        )
    own = options.out is None and within and place.suffix == NETWORK  # as the network's file will be called
    if flag == "--test-samples" and (own or (options.out is not None and place == options.out.resolve())):
        got = "a name of the exported network" if own else "the file of --out"
        raise InputError(f"{flag} {path}", got=got, wanted="two files", do="name another file")


def _tell(written: Export, *, asked: bool) -> None:
    print(f"{written.regime}: {written.why}{'' if asked else ' (--regime takes another)'}")
    bits = 8 * written.weight_bytes / written.weights
    print(
        f"{written.path}: {written.weights:,} weights in {written.weight_bytes / KIB:,.1f} KiB "
        f"({bits:.2f} bits each, with what decodes them), {written.layers} layers of codes; "
        f"{written.steps} steps from bytes to class scores; {written.file_bytes / KIB:,.1f} KiB in all"
    )
    print(f"test accuracy: {written.test_accuracy:.2%}")
    if written.foreign:
        print(f"operations that a program has to bring: {', '.join(written.foreign)}")
