"""``run.py study precision``: which bit width is best in a fixed memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from tyro.conf import arg

from blockwise import models, report
from blockwise.cli import flags
from blockwise.cli.commands.studying import (
    Model,
    TrainingStudy,
    check_names,
    check_trainable,
    recorded,
    tell_recorded,
    train_missing,
)
from blockwise.studies import precision, precision_runs, records
from blockwise.studies.jobs import lines_of
from blockwise.studies.precision import PROTOCOLS, PrecisionProtocol
from blockwise.studies.records import SAME
from blockwise.studies.summary import NEEDED
from blockwise.system.exit_codes import FITS
from devices.errors import InputError

DESCRIPTION = (
    "For every compression C and bit width b: the widest network whose memory, parameters x b + largest "
    "activation x max(b, 4), is at most that of the float32 network divided by C; trained, recorded as one "
    "JSON line, and drawn. Runs that are recorded already are skipped."
)


ALIKE = tuple(name for name in SAME if name != "width")
"""Conditions that all points share: their widths are what the study looks for."""
FIGURES = (*NEEDED, "compression", "bits")
"""What table, page and figure need of every line."""


@dataclass(frozen=True)
class PrecisionStudyOptions(TrainingStudy):
    """The study."""

    compression: Annotated[
        tuple[int, ...], arg(metavar="N ...", help="Budgets: M0 divided by each of these.")
    ] = (4, 8, 16, 32)
    bits: Annotated[tuple[int, ...], arg(metavar="BITS ...", help="Bits of weights: 1 to 8, 16 and 32.")] = (
        1, 2, 3, 4, 5, 6, 8, 16, 32,
    )  # fmt: skip
    preset: Annotated[
        str, arg(help="; ".join(f"{p.name}: {p.description}" for p in PROTOCOLS.values()) + ".")
    ] = "short"
    model: Model = "resnet20"


def run(arguments: Sequence[str]) -> int:
    """Solve, train what is missing, draw."""
    options = flags.parse(
        PrecisionStudyOptions(), arguments, prog="run.py study precision", description=DESCRIPTION
    )
    protocol = _check(options)
    path = options.file("precision", options.preset)
    records.read(path, FIGURES)  # an unreadable record is refused before hours of work
    family = precision_runs.family(options.model, options.data, protocol)
    base = protocol.base_width or models.CATALOGUE[options.model].width
    points = precision.points(family, base, options.compression, options.bits)
    jobs = precision_runs.jobs(points, options.model, options.data, protocol, options.accelerator)
    if options.dry_run:
        tell_recorded(jobs, path)
    else:
        check_trainable(jobs)
        train_missing(jobs, path, options, protocol.epochs, _told)
    rows = lines_of(jobs, records.read(path))
    notes = (*report.precision_standings(rows), report.known_to(rows))
    report.show_table(report.precision_table(points, rows), *notes)
    if rows and not options.dry_run:
        every, stem = recorded(jobs, path, options.data_name, ALIKE), path.with_suffix("")
        means, files = report.precision_means(every), report.draw_precision(every, stem)
        print(*files, report.write_study("Bits in a fixed memory", every, stem, *means), sep="\n")
    return FITS


def _told(row: dict[str, Any]) -> str:
    return f"C = {row['compression']}, {row['bits']} bits, width {row['width']}"


def _check(options: PrecisionStudyOptions) -> PrecisionProtocol:
    check_names(("--preset", (options.preset,), PROTOCOLS), ("model", (options.model,), models.CATALOGUE))
    for flag, values, least in (("--compression", options.compression, 1), ("--seeds", options.seeds, 0)):
        if values is not None and (not values or min(values) < least or len(set(values)) < len(values)):
            got = " ".join(map(str, values)) or "none"
            raise InputError(flag, got=got, wanted=f"different numbers from {least}", do="correct them")
    if len(set(options.bits)) < len(options.bits) or not options.bits:
        got = " ".join(map(str, options.bits)) or "none"
        raise InputError("--bits", got=got, wanted="different widths", do="name each once")
    for bits in options.bits:
        if bits not in precision.BITS:
            wanted = f"of {', '.join(map(str, precision.BITS))}"
            raise InputError("--bits", got=bits, wanted=wanted, do="leave it out")
    protocol = PROTOCOLS[options.preset]
    return protocol if options.seeds is None else replace(protocol, seeds=options.seeds)
