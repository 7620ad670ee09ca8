"""``run.py adapt``: train on the others, then adapt to the person held out, in every way a board has."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tyro.conf import arg

from blockwise import report
from blockwise.adapt import campaign as trials
from blockwise.adapt.asked import Asked, campaign
from blockwise.adapt.described import conditions_of
from blockwise.adapt.result import MARGIN, AdaptResult, environment_of, rows_of
from blockwise.adapt.ways import WAYS
from blockwise.cli import flags
from blockwise.experiment.settings.network import Width, model_flag
from blockwise.report import adapting as adapt_report
from blockwise.system import exit_codes
from blockwise.system.files import WriteError, atomic_write
from blockwise.system.sizes import check_size
from blockwise.system.streams import print_json, tell_then_write
from devices.errors import InputError

DESCRIPTION = (
    "How should a board adapt a trained network to a person? Trains on all other people, as one would on a "
    "computer, quantizes and deploys; then adapts to the person held out in every way, and tells for each "
    "the accuracy before and after, on the others afterwards, peak RAM, multiply-accumulates and samples "
    "needed. Several people give mean and deviation. What is recorded in --out already is not done again."
)
DEFAULTS = Asked(())


@dataclass(frozen=True)
class AdaptOptions:
    """Flags of the command."""

    hold_out: Annotated[
        tuple[str, ...],
        arg(metavar="GROUP ...", help="Whom to adapt to, one after the other: groups of the data."),
    ] = ()
    data: Annotated[str, arg(help="A set whose samples have groups: watch, or the PATH of your own.")] = (
        DEFAULTS.data
    )
    split: Annotated[
        str,
        arg(
            help="How the samples of a person are divided: recording (whole recordings to adapt to, others "
            "to test on) or time (the first half of each recording, and behind a gap the rest)."
        ),
    ] = DEFAULTS.split
    ways: Annotated[
        tuple[str, ...],
        arg(metavar="WAY ...", help=f"Of {', '.join(WAYS)}.", help_behavior_hint="(default: all)"),
    ] = ()
    device: Annotated[str, arg(help="Board name or a profile, PATH.toml.")] = DEFAULTS.device
    model: Annotated[
        str,
        model_flag(" Where it has no integer form, integer ways adapt an mlp of 32 neurons in each layer."),
    ] = DEFAULTS.model
    width: Width = DEFAULTS.width
    blocks: Annotated[str, arg(help="Where to cut, as for the comparison.")] = DEFAULTS.blocks
    head: Annotated[str, arg(help="Local head; trained beside the network before it is deployed.")] = (
        DEFAULTS.head
    )
    method: Annotated[str, arg(help="Quantization method.")] = DEFAULTS.method
    bits: Annotated[int, arg(help="Bits of weights and activations.")] = DEFAULTS.bits
    base_epochs: Annotated[int, arg(help="Passes over the samples of the others, before deployment.")] = (
        DEFAULTS.base_epochs
    )
    epochs: Annotated[int, arg(help="Passes over the samples of the person; the last one counts.")] = (
        DEFAULTS.epochs
    )
    batch_size: Annotated[int, arg(help="Samples per step on the board.")] = DEFAULTS.batch_size
    optimizer: Annotated[str, arg(help="On the board: sgd, sgd-momentum or adam.")] = DEFAULTS.optimizer
    lr: Annotated[float, arg(metavar="RATE", help="Highest learning rate on the board.")] = DEFAULTS.lr
    mu: Annotated[int, arg(metavar="BITS", help="First learning rate of integer ways.")] = DEFAULTS.mu
    margin: Annotated[
        float,
        arg(metavar="SHARE", help="How near to its last accuracy a way needs no more samples."),
    ] = MARGIN
    seed: Annotated[int, arg(help="Seed of weights, order and the validation split.")] = DEFAULTS.seed
    json: Annotated[bool, arg(help="Print result.json on stdout and nothing else there.")] = False
    quiet: Annotated[bool, arg(help="No progress and no table, only the verdict.")] = False
    out: Annotated[
        Path, arg(metavar="DIR", help="Folder of the records, the networks deployed and the result.")
    ] = DEFAULTS.folder


def run(arguments: Sequence[str]) -> int:
    """Adapt as ``arguments`` say; returns the exit code."""
    options = flags.parse(AdaptOptions(), arguments, prog="run.py adapt", description=DESCRIPTION)
    _check(options)
    made = campaign(
        Asked(
            options.hold_out, options.ways, options.data, options.split, options.device, options.model,
            options.width, options.blocks, options.head, options.method, options.bits, options.base_epochs,
            options.epochs, options.batch_size, options.optimizer, options.lr, options.mu, options.seed,
            options.out,
        )
    )  # fmt: skip
    trials.check(made)
    try:
        records = _watched(made, quiet=options.quiet)
        rows, conditions = rows_of(records, options.margin), conditions_of(made, options.margin)
        result = AdaptResult(rows, made.people, conditions, environment_of(records))
        tell_then_write(partial(_show, result, options), partial(_write, result, options.out))
    except KeyboardInterrupt as stop:
        raise type(stop)("the same command goes on") from stop
    except WriteError as error:
        raise error.before("call it again") from error
    return exit_codes.of(fits=result.fits, diverged=all(row.after is None for row in result.rows))


def _check(options: AdaptOptions) -> None:
    for flag, value in (("--epochs", options.epochs), ("--base-epochs", options.base_epochs)):
        check_size(flag, value)
    if not 0 < options.margin < 1:
        raise InputError(
            "--margin", got=f"{options.margin:g}", wanted="more than 0 and less than 1", do="try 0.02"
        )


def _watched(made: trials.Campaign, *, quiet: bool) -> list[dict[str, Any]]:
    """All records, with a bar on stderr, or a line for each trial where that is no terminal."""
    console = report.make_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = quiet or not console.is_terminal
    total = len(made.people) * len(made.ways)
    found: list[dict[str, Any]] = []
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=total)

        def told(text: str) -> None:
            bar.update(task, description=text)
            if not quiet and not console.is_terminal:
                console.print(f"{len(found) + 1} of {total}: {text}", soft_wrap=True)

        for record in trials.run(made, told):
            found.append(record)
            bar.advance(task)
    return found


def _show(result: AdaptResult, options: AdaptOptions) -> None:
    if options.json:
        print_json(_text(result))
    elif options.quiet:
        print(adapt_report.verdict(result))
    else:
        report.show(adapt_report.render(result), report.make_console())
        print(f"\n{options.out / 'result.json'}, {options.out / 'report.html'}")


def _write(result: AdaptResult, folder: Path) -> None:
    atomic_write(folder / "result.json", _text(result) + "\n")
    adapt_report.write_page(result, folder / "report.html")


def _text(result: AdaptResult) -> str:
    return json.dumps(result.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
