"""``run.py study recipe``: what the best block-local training is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from tyro.conf import arg

from blockwise import models, quant, report
from blockwise.cli import flags
from blockwise.cli.commands.studying import (
    Compile,
    EpochsStudy,
    Model,
    Precision,
    Width,
    check_names,
    check_trainable,
    check_values,
    recorded,
    tell_recorded,
    train_missing,
)
from blockwise.experiment.settings import NetworkSettings
from blockwise.experiment.settings.local import distillation, words
from blockwise.quant.precision import FLOAT32, PRECISIONS
from blockwise.studies import recipe, records
from blockwise.studies.qat import QatProtocol
from blockwise.studies.recipe import ALIKE, INGREDIENTS, PROTOCOLS, STUDY, RecipeSpace, recipe_of
from blockwise.studies.recipe_rows import NEEDED, recipe_rows
from blockwise.system.exit_codes import FITS
from blockwise.system.notes import note
from blockwise.system.sizes import check_size
from blockwise.training import REGIMES
from devices.errors import InputError
from devices.program.regimes.skipping import check_share

DESCRIPTION = (
    "Trains a base recipe of block-local learning, and the same with one ingredient changed at a time: of "
    "each flag with several values the first is the base's, and every other one is tried alone. Records each "
    "run as one JSON line and prints a table sorted by test error, with peaks beside plain bp's."
)

NONE = "none"
"""No chain of bits, no trained weights."""


def _words(chain: tuple[int, ...]) -> str:
    return "-".join(map(str, chain)) or NONE


@dataclass(frozen=True)
class RecipeStudyOptions(EpochsStudy):
    """The study."""

    regimes: Annotated[
        tuple[str, ...], arg(metavar="REGIME ...", help=f"How gradients are made: {', '.join(REGIMES)}.")
    ] = INGREDIENTS["regime"]
    blocks: Annotated[
        tuple[str, ...], arg(metavar="CUT ...", help="Where to cut, as for the comparison.")
    ] = INGREDIENTS["blocks"]
    heads: Annotated[tuple[str, ...], arg(metavar="HEAD ...", help="Local heads.")] = INGREDIENTS["head"]
    bit_chains: Annotated[
        tuple[str, ...],
        arg(metavar="CHAIN ...", help=f"Bits through which a training falls, as 32-8-4-3, or {NONE}."),
    ] = tuple(map(_words, INGREDIENTS["bit_chain"]))
    bits: Annotated[
        tuple[int, ...], arg(metavar="BITS ...", help="Of weights and activations; 32 is float32.")
    ] = INGREDIENTS["bits"]
    last_epochs: Annotated[
        tuple[int, ...],
        arg(
            metavar="TIMES ...",
            help="Epochs of the last block, in times those of the others, in local-resident.",
        ),
    ] = INGREDIENTS["last_epochs"]
    inits: Annotated[
        tuple[str, ...],
        arg(
            metavar="RUN|FILE ...",
            help=f"Trained weights to start from, as a run on smaller images, or {NONE}; of the folder that "
            "--seeds makes, to each seed its own.",
        ),
    ] = (NONE,)
    distill: Annotated[
        tuple[str, ...],
        arg(
            metavar="T[:WEIGHT] ...",
            help=f"How the last block teaches the others, in local, as for the comparison, or {NONE}.",
        ),
    ] = (NONE,)
    skip_heads: Annotated[
        tuple[float, ...],
        arg(metavar="P ...", help="By which chance each block but the last skips a step, in local."),
    ] = INGREDIENTS["skip_heads"]
    method: Annotated[str, arg(help="The quantization method of all.")] = "lsq"
    preset: Annotated[
        str, arg(help="; ".join(f"{p.name}: {p.description}" for p in PROTOCOLS.values()) + ".")
    ] = "short"
    model: Model = "resnet20"
    width: Width = None
    precision: Precision = FLOAT32
    compile: Compile = False


def _tell_unused(space: RecipeSpace, usual: RecipeSpace) -> None:
    """Note values that were asked for and that no training of the base's kind has."""
    for name, values in space.values.items():
        if name in space.base.idle and len(values) > 1 and values != usual.values[name]:
            note(f"{name.replace('_', ' ')}: no use for it in {space.base.regime}, the base's; not tried")


def run(arguments: Sequence[str]) -> int:
    """Train what is missing, print the table, draw."""
    asked = RecipeStudyOptions()
    options = flags.parse(asked, arguments, prog="run.py study recipe", description=DESCRIPTION)
    protocol, space = _protocol(options), _space(options)
    _tell_unused(space, _space(asked))
    path = options.file(STUDY, options.preset)
    records.read(path, NEEDED)  # an unreadable record is refused before hours of work
    jobs = recipe.jobs(space, protocol)
    check_trainable(jobs)
    if options.dry_run:
        tell_recorded(jobs, path)
    else:
        train_missing(jobs, path, options, protocol.epochs, _told)
    methods = (space.method, "fp32")
    rows = [row for row in recorded(jobs, path, options.data_name, ALIKE) if row["method"] in methods]
    if rows:
        found = recipe_rows(rows, space, protocol, recipe.named(space, protocol))
        notes = (*report.recipe_notes(found, space.base), report.known_to(rows))
        report.show_table(report.recipe_table(found), *notes)
        if not options.dry_run:
            stem, means = path.with_suffix(""), report.recipe_means(found, space.base)
            files = report.draw_recipes(rows, found, stem)
            print(*files, report.write_study("Block-local recipes", rows, stem, means), sep="\n")
    return FITS


def _told(row: dict[str, Any]) -> str:
    return report.recipe_told(recipe_of(row))


def _space(options: RecipeStudyOptions) -> RecipeSpace:
    chains = tuple(map(_chain, options.bit_chains))
    values = {
        "regime": options.regimes, "blocks": options.blocks, "head": options.heads, "bit_chain": chains,
        "bits": options.bits, "last_epochs": options.last_epochs,
        "init": tuple("" if init == NONE else NetworkSettings(init=init).init for init in options.inits),
        "distill": tuple(map(_taught, options.distill)), "skip_heads": options.skip_heads,
    }  # fmt: skip
    return RecipeSpace(
        values, options.model, options.method, options.data, options.accelerator, options.precision,
        options.compile,
    )  # fmt: skip


def _taught(given: str) -> str:
    """With its weight, as it is recorded. Raises InputError for what is none."""
    return "" if given == NONE else words(distillation(given))


def _chain(given: str) -> tuple[int, ...]:
    """Of 32-8-4-3. Raises InputError for anything else."""
    parts = () if given == NONE else tuple(given.split("-"))
    if not all(part.isdecimal() for part in parts):
        raise InputError(
            "--bit-chains", got=repr(given), wanted=f"falling widths as 32-8-4-3, or {NONE}",
            do="put dashes between them",
        )  # fmt: skip
    return tuple(map(int, parts))


def _protocol(options: RecipeStudyOptions) -> QatProtocol:
    """The preset with what was asked for instead. Raises InputError for what cannot be."""
    check_names(
        ("--preset", (options.preset,), PROTOCOLS),
        ("model", (options.model,), models.CATALOGUE),
        ("method", (options.method,), quant.METHODS),
        ("regime", options.regimes, REGIMES),
        ("--precision", (options.precision,), PRECISIONS),
    )
    check_values({
        "--regimes": options.regimes, "--blocks": options.blocks, "--heads": options.heads,
        "--bit-chains": options.bit_chains, "--bits": options.bits, "--last-epochs": options.last_epochs,
        "--inits": options.inits, "--distill": options.distill, "--skip-heads": options.skip_heads,
        "--seeds": options.seeds,
    })  # fmt: skip
    for times in options.last_epochs:
        check_size("--last-epochs", times)
    for share in options.skip_heads:
        check_share("--skip-heads", share)
    return replace(PROTOCOLS[options.preset], **options.instead("width"))
