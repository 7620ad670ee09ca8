"""Finished runs, read back from their folders."""

import json
import os
from pathlib import Path

from blockwise.experiment.result import Result
from blockwise.experiment.result_json import load
from blockwise.experiment.seeds import Seeds, over_seeds
from devices.errors import InputError

CONFIG_FILE, RESULT_FILE, SEEDS_FILE = "config.json", "result.json", "seeds.json"
"""What a folder of a run has, or that of several seeds."""


def finished_run(run: Path) -> Result:
    """The result of the run in a folder, or of a result.json itself. Raises InputError if there is none."""
    return load(run if os.path.isfile(run) else result_path(run, f"run {run}"))


def result_path(run: Path, subject: str) -> Path:
    """The result.json of the run in a folder. Raises InputError about ``subject`` where there is none."""
    if (run / RESULT_FILE).exists():
        return run / RESULT_FILE
    if (run / SEEDS_FILE).exists():
        raise InputError(
            subject, got="the runs of several seeds", wanted="one of them",
            do=f"name a folder within it, as {next(iter(sorted(run.glob('seed-*'))), run)}",
        )  # fmt: skip
    begun = (run / CONFIG_FILE).exists()
    absent = "a folder without a run" if os.path.isdir(run) else "no such folder"
    raise InputError(
        subject, got="a run that is not finished" if begun else absent,
        wanted=f"a folder with {RESULT_FILE}",
        do=f"finish it with --resume {run}" if begun else "name the --out of a run",
    )  # fmt: skip


def finished_seeds(run: Path) -> tuple[Result, Seeds] | None:
    """The result of the first of several seeds, and what came of all of them; None for any other folder.

    Put together anew from the runs. Raises InputError where one of them is gone or damaged.
    """
    path = run / SEEDS_FILE
    if not os.path.isfile(path):
        return None
    try:
        names = tuple(map(str, json.loads(path.read_text("utf-8"))["runs"]))
    except (OSError, ValueError, RecursionError, LookupError, TypeError) as error:
        raise InputError(
            str(path), got=" ".join(f"{type(error).__name__}: {error}".split())[:100],
            wanted="the file as the command wrote it", do=f"write it again with --resume {run}",
        ) from error  # fmt: skip
    results = [finished_run(run / name) for name in names]
    if len({tuple(row.regime for row in result.regimes) for result in results}) != 1:
        raise InputError(
            str(run), got="runs of several regimes or of none", wanted="those of one configuration",
            do="show each of them by its own folder",
        )  # fmt: skip
    return results[0], over_seeds(results, names)
