"""``run.py study qat``: every quantization method under one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from tyro.conf import arg

from blockwise import models, quant, report
from blockwise.cli import flags
from blockwise.cli.commands.studying import (
    OF_PRESET,
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
from blockwise.experiment.settings import PAPER
from blockwise.experiment.settings.words import listed
from blockwise.quant.precision import FLOAT32, PRECISIONS
from blockwise.studies import qat, records
from blockwise.studies.qat import PROTOCOLS, QatProtocol, QatSpace
from blockwise.studies.records import SAME
from blockwise.studies.summary import NEEDED
from blockwise.system.exit_codes import FITS
from blockwise.training import OPTIMIZERS, REGIMES
from devices.errors import InputError
from devices.network.bits import RESIDUALS

ALIKE = (*SAME, "optimizer", "learning_rate")
"""Conditions that all lines of the table share, beside the data."""

DESCRIPTION = (
    "Trains every quantization method under the same protocol, records each run as one JSON line, and prints "
    "a table sorted by test error beside the reference study's. Runs that are recorded already are skipped."
)


@dataclass(frozen=True)
class QatStudyOptions(EpochsStudy):
    """The study."""

    methods: Annotated[
        tuple[str, ...],
        arg(
            metavar="METHOD ...",
            help="Methods; the reference study's first unless named.",
            help_behavior_hint="(default: all)",
        ),
    ] = ()
    regimes: Annotated[tuple[str, ...], arg(metavar="REGIME ...", help="bp, local, or both.")] = ("bp",)
    heads: Annotated[tuple[str, ...], arg(metavar="HEAD ...", help="Local heads, in local regimes.")] = (
        "gap",
    )
    blocks: Annotated[tuple[str, ...], arg(metavar="CUT ...", help="Cuts, in local regimes.")] = ("stages",)
    activation_method: Annotated[
        str | None,
        arg(
            metavar="METHOD",
            help="Another method for activations, in all but fp32.",
            help_behavior_hint="(default: each method's own)",
        ),
    ] = None
    weight_bits: Annotated[
        int | None,
        arg(
            metavar="BITS",
            help="Bits of weights, where a method has them.",
            help_behavior_hint="(default: 3)",
        ),
    ] = None
    activation_bits: Annotated[
        int | None,
        arg(
            metavar="BITS",
            help="Bits of activations, where a method has them.",
            help_behavior_hint="(default: 3)",
        ),
    ] = None
    residual: Annotated[
        str,
        arg(
            help="What skip paths hold beside codes: codes, float, or paper, which is each method's own "
            "convention."
        ),
    ] = PAPER
    preset: Annotated[
        str, arg(help="; ".join(f"{p.name}: {p.description}" for p in PROTOCOLS.values()) + ".")
    ] = "short"
    model: Model = "resnet20"
    width: Width = None
    optimizer: Annotated[
        str | None,
        arg(metavar="NAME", help=f"One of {listed(OPTIMIZERS)}.", help_behavior_hint=OF_PRESET),
    ] = None
    lr: Annotated[
        float | None,
        arg(
            metavar="RATE",
            help="Highest learning rate of the schedule.",
            help_behavior_hint="(default: the optimizer's)",
        ),
    ] = None
    precision: Precision = FLOAT32
    compile: Compile = False


def run(arguments: Sequence[str]) -> int:
    """Train what is missing, print the table, draw."""
    asked = QatStudyOptions()
    options = flags.parse(asked, arguments, prog="run.py study qat", description=DESCRIPTION)
    protocol = _protocol(options)
    path = options.file("qat", options.preset)
    records.read(path, NEEDED)  # an unreadable record is refused before hours of work
    jobs = qat.jobs(_space(options), protocol)
    check_trainable(jobs)
    if options.dry_run:
        tell_recorded(jobs, path)
    else:
        train_missing(jobs, path, options, protocol.epochs, _told)
    rows = recorded(jobs, path, options.data_name, ALIKE)
    if rows:
        found = qat.summaries(rows, records.read(path))
        notes = (report.qat_standing(found), *report.distance_notes(found), report.known_to(rows))
        report.show_table(report.qat_table(found), *notes)
        if not options.dry_run:
            stem, means = path.with_suffix(""), report.qat_means(found)
            files = report.draw_qat(rows, stem)
            print(*files, report.write_study("Quantization methods", rows, stem, means), sep="\n")
    return FITS


def _told(row: dict[str, Any]) -> str:
    place = f", {row['head']}, {row['blocks']}" if row["head"] else ""
    skips = ", float skip paths" if row["residual"] == "float" else ""
    return f"{row['method']} W{row['weight_bits']}A{row['activation_bits']}{skips}, {row['regime']}{place}"


def _space(options: QatStudyOptions) -> QatSpace:
    return QatSpace(
        options.methods or qat.catalogue(), options.regimes, options.heads, options.blocks,
        options.weight_bits, options.activation_bits, options.model, options.data, options.accelerator,
        options.compile, options.activation_method, options.residual, options.precision,
    )  # fmt: skip


def _protocol(options: QatStudyOptions) -> QatProtocol:
    """The preset with what was asked for instead. Raises InputError for what cannot be."""
    named = (
        ("--preset", (options.preset,), PROTOCOLS),
        ("model", (options.model,), models.CATALOGUE),
        ("method", options.methods, quant.METHODS),
        ("regime", options.regimes, REGIMES),
        ("method", (options.activation_method or "fp32",), quant.METHODS),
        ("--residual", (options.residual,), (*RESIDUALS, PAPER)),
        ("--precision", (options.precision,), PRECISIONS),
    )
    widths = {"--weight-bits": options.weight_bits, "--activation-bits": options.activation_bits}
    for flag, bits in widths.items():
        if bits is not None and bits not in (*quant.BITS, quant.FLOAT_BITS):
            raise InputError(flag, got=bits, wanted="1 to 8, 16 or 32", do="choose one that methods have")
    check_names(*named)
    check_values({
        "--methods": options.methods or None, "--regimes": options.regimes, "--heads": options.heads,
        "--blocks": options.blocks, "--seeds": options.seeds,
    })  # fmt: skip
    return replace(PROTOCOLS[options.preset], **options.instead("width", "optimizer", "lr"))
