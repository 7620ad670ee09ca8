"""``run.py fit``: what would fit the board, and at what price."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from rich.progress import track
from tyro.conf import arg

from blockwise import models, report
from blockwise.cli import flags
from blockwise.cli.commands.fit_training import check, trained
from blockwise.cli.executing import Executing
from blockwise.experiment import board
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import named
from blockwise.experiment.settings import ImageSettings, TrainingSettings
from blockwise.experiment.settings.images import beside_shape
from blockwise.experiment.settings.network import Width, model_flag
from blockwise.fit.looked import SMALL
from blockwise.fit.measure import Measured
from blockwise.fit.networks import Model, bodies
from blockwise.fit.result import FitResult
from blockwise.fit.search import has_bits, search
from blockwise.fit.space import Space
from blockwise.heads import CATALOGUE
from blockwise.layers.norms import NORMS
from blockwise.quant import METHODS
from blockwise.report import fit as fit_report
from blockwise.system.exit_codes import FITS, NONE_FITS
from blockwise.system.files import atomic_write, check_file
from blockwise.system.processes import cores
from blockwise.system.sizes import MOST, check_shape, check_size
from blockwise.system.streams import print_json, tell_then_write
from devices.errors import InputError
from devices.program.regimes import REGIMES, UPDATES
from devices.program.state import OPTIMIZER_STATES

DESCRIPTION = (
    "What would fit this board? Counts a training step under the combinations of the settings below and "
    "shows those that no other it counted beats in peak RAM, multiply-accumulates and flash traffic at once; "
    "where nothing fits, what comes nearest and the smallest board found that would do. Multiply-accumulates "
    "and flash traffic are compared per image: per step, batch 1 would beat every larger batch (--json has "
    "both). "
    "Memory and work only: what is learnt is for the comparison to tell. No data are loaded."
)
SPACE = Space()
MOST_ROWS = EVERY = 10**9


def _several(metavar: str, what: str, names: Iterable[str] = (), more: str = "", **options: Any) -> Any:
    of = f": {', '.join(names)}" if names else ""
    return arg(metavar=f"{metavar} ...", help=f"One or more {what}{of}.{more}", **options)


@dataclass(frozen=True)
class FitOptions:
    """Flags of the command. Settings with one value are pinned."""

    device: Annotated[str, arg(help="Board name or a profile, PATH.toml.")] = "stm32"
    reserve_kib: Annotated[
        int | None,
        arg(
            metavar="KIB",
            help="RAM kept free for stack and system.",
            help_behavior_hint="(default: the profile's)",
        ),
    ] = None
    model: Annotated[str, model_flag()] = Model.name
    width: Width = None
    in_shape: Annotated[
        tuple[int, ...] | None,
        arg(
            metavar="C H W",
            help="Channels, height and width of the images; C L of signals, F of features.",
            help_behavior_hint=f"(default: {' '.join(map(str, Model.in_shape))})",
        ),
    ] = None
    classes: Annotated[int, arg(help="Classes to tell apart.")] = Model.classes
    method: Annotated[
        str, arg(help=f"Quantization method: {', '.join(METHODS)}; 32 bits are fp32 in each.")
    ] = Model.method
    regimes: Annotated[
        tuple[str, ...],
        _several(
            "REGIME",
            "regimes",
            REGIMES,
            " A step of a zeroth-order one costs least and teaches least: it would hide all others.",
            help_behavior_hint="(default: all but zeroth-order ones)",
        ),
    ] = SPACE.regimes
    blocks: Annotated[
        tuple[str, ...] | None,
        _several(
            "CUT",
            "cuts: stages, residual, layers, each, auto or numbers of balanced blocks",
            help_behavior_hint=f"(default: {' '.join(SPACE.blocks)}, as far as there are layers)",
        ),
    ] = None
    head: Annotated[
        tuple[str, ...], _several("HEAD", "local heads, lookahead:WIDTH among them", CATALOGUE)
    ] = SPACE.heads
    norm: Annotated[
        tuple[str, ...], _several("NORM", "norms", NORMS, " frozen and none change what can be learnt.")
    ] = SPACE.norms
    batch_size: Annotated[tuple[int, ...], _several("N", "batch sizes")] = SPACE.batches
    optimizer: Annotated[tuple[str, ...], _several("OPTIMIZER", "optimizers", OPTIMIZER_STATES)] = (
        SPACE.optimizers
    )
    bits: Annotated[
        tuple[str, ...],
        _several("W|WxA", "widths: of weights and activations alike, or of both as in 4x8; 32 is float32"),
    ] = tuple(str(weight) for weight, _ in SPACE.bits)
    update: Annotated[tuple[str, ...], _several("UPDATE", "ways to apply gradients", UPDATES)] = SPACE.updates
    micro_batch: Annotated[tuple[int, ...], _several("N", "micro-batches of bp-micro")] = SPACE.micro_batches
    max_candidates: Annotated[
        int | None,
        arg(
            metavar="N",
            help="Where there are more, look at so many at most: an even sample, always the same, and what "
            "is next to its best.",
            help_behavior_hint=f"(default: all of {SMALL:,}; of more a sample that grows around its best "
            "until nothing changes)",
        ),
    ] = None
    all: Annotated[bool, arg(help="Look at every candidate.")] = False
    data: Annotated[
        str | None,
        arg(
            metavar="NAME|PATH",
            help="Images, signals or features to train on, as run.py takes them: their shape and classes are "
            "taken, and stand in the commands.",
            help_behavior_hint="(default: none, see --in-shape)",
        ),
    ] = None
    train: Annotated[
        int | None,
        arg(
            metavar="N",
            help="Train N rows, spread evenly over the front, on --data, and show their test accuracy. What "
            "is trained already is read, what was interrupted goes on.",
            help_behavior_hint="",
        ),
    ] = None
    epochs: Annotated[int, arg(help="Passes over the training set, with --train.")] = TrainingSettings.epochs
    runs: Annotated[
        Path, arg(metavar="DIR", help="Folder for the runs of --train, each as run.py leaves it.")
    ] = Path("runs/fit")
    limit: Annotated[
        int | None, arg(metavar="N", help="Rows to show.", help_behavior_hint="(default: all)")
    ] = None
    jobs: Annotated[
        int | None,
        arg(metavar="N", help="Processes of the search.", help_behavior_hint="(default: the cores)"),
    ] = None
    executing: Executing = field(default_factory=Executing)
    json: Annotated[bool, arg(help="Print every figure as JSON instead of a table.")] = False
    out: Annotated[
        Path | None,
        arg(metavar="FILE", help="Also write the JSON to this file.", help_behavior_hint=""),
    ] = None


def run(arguments: Sequence[str]) -> int:
    """Search, print and, if asked, write; returns the exit code."""
    options = flags.parse(FitOptions(), arguments, prog="run.py fit", description=DESCRIPTION)
    _check(options)
    device = board.load(options.device, options.reserve_kib)
    width = models.width_of(options.model, options.width)
    model = Model(options.model, width, *_sizes(options), options.method)
    most = EVERY if options.all else options.max_candidates
    result = search(
        _space(options, model), model, device, most=most, jobs=options.jobs or cores(), watch=_watched,
        reserve_kib=options.reserve_kib,
    )  # fmt: skip
    result = replace(result, flags=_flags(options, model))
    if result.sampled:
        print(f"blockwise: {_looked_at(result)}", file=sys.stderr)
    if options.train is not None:
        result = trained(result, options.train, options.epochs, options.runs, options.executing)
    text = json.dumps(result.to_json(), indent=1, ensure_ascii=False, allow_nan=False)

    def tell() -> None:
        if options.json:
            print_json(text)
        else:
            report.show(fit_report.render(result, options.limit), report.make_console())

    write = None if options.out is None else partial(atomic_write, options.out, text + "\n")
    tell_then_write(tell, write)
    return FITS if result.front else NONE_FITS


def _looked_at(result: FitResult) -> str:
    what = "until nothing changed" if result.closed else "as far as --max-candidates allows"
    return (
        f"{result.possible:,} candidates, of which {result.looked_at:,} were looked at: an even sample, and "
        f"what is next to its best {what}; --all looks at every one, pinned settings leave fewer"
    )


def _sizes(options: FitOptions) -> tuple[tuple[int, ...], int]:
    """Shape and classes of the images."""
    if options.data is None:
        return options.in_shape or Model.in_shape, options.classes
    if options.in_shape is not None or options.classes != FitOptions.classes:
        raise beside_shape("--data")
    dataset = named(Config(images=ImageSettings(data=options.data))).dataset
    return dataset.in_shape, len(dataset.classes)


def _flags(options: FitOptions, model: Model) -> tuple[str, ...]:
    """What of a run's command line is the same for every candidate."""
    found = ["--device", options.device, "--model", options.model, "--method", options.method]
    if options.reserve_kib is not None:
        found += ["--reserve-kib", str(options.reserve_kib)]
    if model.width is not None:
        found += ["--width", f"{model.width:g}"]
    if options.data is not None:
        return (*found, "--data", options.data)
    shape = map(str, model.in_shape)
    return (*found, "--in-shape", *shape, "--classes", str(options.classes), "--dry-run")


def _watched(results: Iterable[list[Measured]], total: int) -> Iterable[list[Measured]]:
    """A bar on stderr, if that is a terminal."""
    console = report.make_console(stderr=True)
    return track(results, "Counting", total, console=console, transient=True, disable=not console.is_terminal)


def _space(options: FitOptions, model: Model) -> Space:
    blocks = options.blocks
    if blocks is None:
        most = bodies(model)
        blocks = tuple(name for name in SPACE.blocks if not name.isdecimal() or int(name) <= most)
    bits = tuple(map(_widths, options.bits))
    if options.bits == FitOptions.bits:  # nobody asked for those that the method lacks
        bits = tuple(pair for pair in bits if has_bits(pair, model)) or bits
    return Space(
        options.regimes, blocks, options.head, options.norm, options.batch_size, options.optimizer,
        bits, options.update, options.micro_batch,
    )  # fmt: skip


def _widths(text: str) -> tuple[int, int]:
    weight, _, activation = text.partition("x")
    activation = activation if "x" in text else weight
    if not (weight.isdecimal() and activation.isdecimal()):
        raise InputError("--bits", got=repr(text), wanted="a number, or two as in 4x8", do="correct it")
    return int(weight), int(activation)


def _of_training(options: FitOptions) -> list[str]:
    """The flags that were given of those that go with --train."""

    def values(of: FitOptions) -> dict[str, Any]:
        return {"epochs": of.epochs, "runs": of.runs, **vars(of.executing)}

    usual = values(FitOptions())
    return [f"--{name.replace('_', '-')}" for name, x in values(options).items() if x != usual[name]]


def _check(options: FitOptions) -> None:
    """Refuse what cannot be, before any work. Raises InputError."""
    models.check_name(options.model)
    if options.width is not None:
        models.check_width(options.model, options.width)
    sizes = {"--classes": options.classes}
    counts = {
        "--max-candidates": options.max_candidates, "--limit": options.limit, "--jobs": options.jobs,
        "--train": options.train, "--epochs": options.epochs,
    }  # fmt: skip
    for flag, value in (sizes | counts).items():
        if value is not None:
            check_size(flag, value, 2 if flag == "--classes" else 1, MOST_ROWS if flag in counts else MOST)
    if options.in_shape is not None:
        check_shape("--in-shape", options.in_shape)
    check(options.train, options.data, _of_training(options))
    if options.all and options.max_candidates is not None:
        raise InputError(
            "--all", got=f"--max-candidates {options.max_candidates} beside it", wanted="one of the two",
            do="leave one out",
        )  # fmt: skip
    if options.out is not None:
        check_file(options.out, "--out")
