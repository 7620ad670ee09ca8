"""``run.py study integer``: training on integers alone beside float32 and QAT."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from tyro.conf import arg

from blockwise import models, report
from blockwise.cli import flags
from blockwise.cli.commands.studying import (
    OF_PRESET,
    EpochsStudy,
    Width,
    check_names,
    check_trainable,
    check_values,
    recorded,
    tell_recorded,
    train_missing,
)
from blockwise.experiment.settings import TrainingSettings
from blockwise.studies import integers, records
from blockwise.studies.integers import (
    CUT,
    FLOAT_METHODS,
    FLOAT_REGIMES,
    HEAD,
    PROTOCOLS,
    IntegerProtocol,
    IntegerSpace,
)
from blockwise.studies.summary import NEEDED, summaries
from blockwise.system.exit_codes import FITS
from blockwise.training import INTEGER_REGIMES

DESCRIPTION = (
    "Trains the same network in float32, with QAT (LSQ) and on integers alone, globally and block by block, "
    f"with the same cut ({CUT}), heads ({HEAD}), images and epochs; records each run as one JSON line, "
    "prints a table and draws error against memory. Runs that are recorded already are skipped."
)

REGIMES = (*FLOAT_REGIMES, *INTEGER_REGIMES)


@dataclass(frozen=True)
class IntegerStudyOptions(EpochsStudy):
    """The study."""

    regimes: Annotated[
        tuple[str, ...] | None,
        arg(
            metavar="REGIME ...",
            help=f"Of {', '.join(REGIMES)}; bp and local are trained as {' and '.join(FLOAT_METHODS)}.",
            help_behavior_hint=OF_PRESET,
        ),
    ] = None
    preset: Annotated[
        str, arg(help="; ".join(f"{p.name}: {p.description}" for p in PROTOCOLS.values()) + ".")
    ] = "short"
    jump_every: Annotated[
        tuple[int, ...] | None,
        arg(
            metavar="BATCHES ...",
            help="For how many batches 4-bit weights wait before they jump by the sum of their gradients: "
            "a run for each of niti4-jump and its kin.",
            help_behavior_hint=OF_PRESET,
        ),
    ] = None
    model: Annotated[
        str | None,
        arg(help=f"One of {', '.join(models.CATALOGUE)}.", metavar="NAME", help_behavior_hint=OF_PRESET),
    ] = None
    width: Width = None
    batch_size: Annotated[
        int | None, arg(metavar="N", help="Images per step.", help_behavior_hint=OF_PRESET)
    ] = None


def run(arguments: Sequence[str]) -> int:
    """Train what is missing, print the table, draw."""
    options = flags.parse(
        IntegerStudyOptions(), arguments, prog="run.py study integer", description=DESCRIPTION
    )
    protocol = _protocol(options)
    path = options.file("integer", options.preset)
    records.read(path, NEEDED)  # an unreadable record is refused before hours of work
    space = IntegerSpace(options.regimes, options.data, options.accelerator)
    jobs = integers.jobs(space, protocol)
    check_trainable(jobs)
    if options.dry_run:
        tell_recorded(jobs, path)
    else:
        train_missing(jobs, path, options, protocol.epochs, _told)
    rows = recorded(jobs, path, options.data_name)
    if rows:
        found = summaries(rows)
        notes = (
            report.integer_standing(found),
            report.one_by_one_words(found),
            report.known_to(rows),
        )
        report.show_table(report.integer_table(found), *notes)
        if not options.dry_run:
            stem, means = path.with_suffix(""), report.integer_means(found)
            files = report.draw_integers(rows, found, stem)
            print(*files, report.write_study("Training on integers", rows, stem, means), sep="\n")
    return FITS


def _told(row: dict[str, Any]) -> str:
    every = row.get("jump_every", 1)
    waits = f", a jump in {every} batches" if every > 1 else ""
    return f"{row['method']} W{row['weight_bits']}A{row['activation_bits']}, {row['regime']}{waits}"


def _protocol(options: IntegerStudyOptions) -> IntegerProtocol:
    """The preset with what was asked for instead. Raises InputError for what cannot be."""
    check_names(("--preset", (options.preset,), PROTOCOLS), ("regime", options.regimes or (), REGIMES))
    check_names(("model", (options.model,) if options.model else (), models.CATALOGUE))
    flags_of_several = {"--regimes": options.regimes, "--jump-every": options.jump_every}
    check_values({**flags_of_several, "--seeds": options.seeds})
    for every in options.jump_every or ():
        regimes = options.regimes or PROTOCOLS[options.preset].regimes
        TrainingSettings(regimes=regimes, jump_every=every).check_jumps()
    return replace(PROTOCOLS[options.preset], **options.instead("jump_every", "model", "width", "batch_size"))
