"""The training of a comparison, with its plan and its progress told on stderr."""

from functools import partial
from pathlib import Path

from rich.console import Console

from blockwise import report
from blockwise.cli.expected import shares
from blockwise.cli.progress import ConsoleWatcher
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.compare import compare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import Result


def trained(
    prepared: Prepared, out: Path, stderr: Console, watcher: ConsoleWatcher, *, plan: bool = True
) -> Result:
    """What is planned is told before the first step, unless not ``plan``, beside the progress."""
    checkpoints, config = out / outfolder.CHECKPOINTS, prepared.config
    if config.output.quiet or config.output.dry_run:
        return compare(prepared, checkpoints)

    def planned(result: Result) -> None:
        tell = partial(report.print_report, result, stderr) if plan else lambda: None
        watcher.expect(shares(config, result), tell, begun=any(checkpoints.glob("*.pt")))

    return compare(prepared, checkpoints, watcher, planned)
