"""Finished runs, read back from their folders."""

import os
from pathlib import Path

from blockwise.experiment.result import Result
from blockwise.experiment.result_json import load
from blockwise.experiment.run_folder import CONFIG_FILE
from devices.errors import InputError

RESULT_FILE, SEEDS_FILE = "result.json", "seeds.json"


def finished_run(run: Path) -> Result:
    """The result of the run in a folder, or of a result.json itself. Raises InputError if there is none."""
    if os.path.isfile(run):
        return load(run)
    if (run / RESULT_FILE).exists():
        return load(run / RESULT_FILE)
    if (run / SEEDS_FILE).exists():
        raise InputError(
            f"run {run}", got="the runs of several seeds", wanted="one of them",
            do=f"name a folder within it, as {next(iter(sorted(run.glob('seed-*'))), run)}",
        )  # fmt: skip
    begun = (run / CONFIG_FILE).exists()
    absent = "a folder without a run" if os.path.isdir(run) else "no such folder"
    raise InputError(
        f"run {run}", got="a run that is not finished" if begun else absent,
        wanted=f"a folder with {RESULT_FILE}",
        do=f"finish it with --resume {run}" if begun else "name the --out of a run",
    )  # fmt: skip
