"""``run.py fit --train N``: rows of the front trained, each a run that is resumed or read again."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from blockwise.cli.commands import compare
from blockwise.experiment import result_json, run_folder
from blockwise.fit.result import FitResult, FrontRow
from devices.errors import InputError

RESULT = "result.json"


def trained(result: FitResult, count: int, epochs: int, folder: Path) -> FitResult:
    """``result`` with the accuracies of ``count`` rows, spread evenly over the front.

    A run stands in ``folder`` under its regime and the fingerprint of its settings: one that is finished is
    read, one that was interrupted goes on.
    """
    rows = list(result.front)
    for number in evenly(len(rows), count):
        command = (*result.command(rows[number].confirmed.candidate)[1:], "--epochs", str(epochs))
        rows[number] = _trained(rows[number], command, folder)
    return replace(result, front=tuple(rows))


def evenly(length: int, count: int) -> list[int]:
    """Numbers of ``count`` of ``length`` items: the first, the last, and others evenly between them."""
    if count >= length:
        return list(range(length))
    if count == 1:
        return [0]
    return [round(i * (length - 1) / (count - 1)) for i in range(count)]


def _trained(row: FrontRow, command: Sequence[str], folder: Path) -> FrontRow:
    config = compare.parse(command)
    run = folder / f"{row.confirmed.candidate.regime}-{config.fingerprint()}"
    if not (run / RESULT).exists():
        begun = (run / run_folder.CONFIG_FILE).exists()
        arguments = ["--resume", str(run)] if begun else [*command, "--out", str(run)]
        with contextlib.redirect_stdout(sys.stderr):  # the answer is the front alone
            print(f"blockwise: training {' '.join(row.confirmed.candidate.flags)}")
            compare.run([*arguments, "--quiet"])
    (regime,) = result_json.read(run / RESULT)["regimes"]
    return replace(row, accuracy=regime["test_accuracy"], run=str(run))


def check(count: int | None, data: str | None) -> None:
    """Raise InputError where there is nothing to train on."""
    if count is not None and data is None:
        raise InputError(
            "--train", got="no --data beside it", wanted="images to train on",
            do="name them: --data digits, or the path of your own",
        )  # fmt: skip
