"""The training of a comparison, with its plan and its progress told on stderr."""

from functools import partial
from pathlib import Path

from rich.console import Console

from blockwise import report
from blockwise.cli.expected import shares
from blockwise.cli.log import Logged, open_log, outcomes
from blockwise.cli.progress import ConsoleWatcher
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.compare import compare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import Result
from blockwise.report.drawing import Drawing
from blockwise.training.options import Silent, Watcher


def trained(
    prepared: Prepared, out: Path, stderr: Console, watcher: ConsoleWatcher, drawing: Drawing, *,
    plan: bool = True,
) -> Result:  # fmt: skip
    """What is planned is told before the first step, unless not ``plan``, beside the progress.

    Of a run that goes on only when there is a step left. ``drawing`` begins as soon as it can. Metrics go to
    the log that is asked for.
    """
    checkpoints, output = out / outfolder.CHECKPOINTS, prepared.config.output
    if output.dry_run:
        return compare(prepared, checkpoints, steps=drawing.begin)
    begun = any(checkpoints.glob("*.pt"))

    def steps(result: Result) -> None:
        drawing.begin(result)
        if plan and not begun and not output.quiet:
            report.show(report.opening(result), stderr)

    def planned(result: Result) -> None:
        left = (report.screen if begun else report.more)(result, whole=False)
        tell = partial(report.show, left, stderr) if plan else lambda: None
        watcher.expect(shares(prepared.config, result), tell, begun=begun)

    seen: Watcher = Silent() if output.quiet else watcher
    told = None if output.quiet else planned
    log = open_log(output.log, out, prepared.config.learning())
    if log is None:
        return compare(prepared, checkpoints, seen, told, steps)
    try:
        result = compare(prepared, checkpoints, Logged(log, seen), told, steps)
        log.add(outcomes(result), prepared.config.training.epochs)
        return result
    finally:
        log.close()
