"""Executors: the short study of two methods serially, in processes and on Ray, with workers that are killed.

    python benchmarks/executors.py [--record] [--data NAME]

A killed worker gets SIGKILL at the end of its first epoch, in the middle of its training; another one goes on
from the checkpoint. Every way has to record the same lines but for times, digests of trained weights among
them. Needs the extra ray.
"""

import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import output

from blockwise.cli.executing import Executing
from blockwise.executors.task import Message, Progress, Task, Untold
from blockwise.experiment.provenance import environment
from blockwise.studies import qat, records
from blockwise.studies.tasks import run_all, task_of

METHODS = ("fp32", "lsq")
PRESET = "short"
WORKERS = 2
TIMES = ("seconds", "images_per_second", "created")
WAYS = (("serial", False), ("processes", False), ("processes", True), ("ray", False), ("ray", True))
"""The executor, and whether a worker is killed."""


class Killer(Untold):
    """Kills the worker of the first task that ends an epoch, if it is to kill any, and counts the dead."""

    def __init__(self, *, kills: bool) -> None:
        self._kills, self._places = kills, dict[str, str]()
        self.dead: list[str] = []

    def begun(self, task: Task, where: str) -> None:
        """The number of the process is the last word of ``where``."""
        self._places[task.key] = where

    def heard(self, task: Task, message: Message) -> None:
        """An epoch, perhaps."""
        if self._kills and isinstance(message, Progress) and message.epoch:
            self._kills = False
            os.kill(int(self._places[task.key].split()[-1]), signal.SIGKILL)

    def lost(self, task: Task, why: str) -> None:
        """Noted."""
        self.dead.append(task.title)


def lines(executor: str, told: Killer, data: str) -> list[dict[str, Any]]:
    """What the study records in that way, by methods."""
    asked = Executing(executor=executor, workers=1 if executor == "serial" else WORKERS, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.jsonl"
        jobs = qat.jobs(qat.QatSpace(METHODS, source=data), qat.PROTOCOLS[PRESET])
        tasks = [task_of(job, job.conditions["method"], path, "") for job in jobs]
        for _ in run_all(tasks, path, asked.made(), asked.kept_in(path.parent), told):
            pass
        rows = records.read(path)
    return sorted(rows, key=lambda row: METHODS.index(row["method"]))


def timeless(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line without what a clock tells."""
    return {name: value for name, value in row.items() if name not in TIMES}


def main() -> None:
    """Train, compare, print and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--data", default="digits", help="as for the study (default: %(default)s)")
    arguments = parser.parse_args()
    rows, first = [], list[dict[str, Any]]()
    for executor, kills in WAYS:
        killer = Killer(kills=kills)
        found = lines(executor, killer, arguments.data)
        first = first or found
        equal = sum(timeless(a) == timeless(b) for a, b in zip(found, first, strict=True))
        rows.append({
            "executor": executor, "workers": 1 if executor == "serial" else WORKERS, "died": killer.dead,
            "records": len(found), "equal": equal, "digests": [row["digest"] for row in found],
        })  # fmt: skip
        print(f"{executor:10} died: {killer.dead}, {equal} of {len(found)} records equal", flush=True)
    shared = {name: first[0][name] for name in ("model", "width", "epochs", "data", "in_shape", "protocol")}
    conditions = {**shared, "methods": METHODS, "threads": 1, "environment": environment("cpu")}
    errors = [row["test_error"] for row in first]
    figures = {"conditions": conditions, "test_errors": errors, "rows": rows}
    output.keep("executors", figures, record=arguments.record)


if __name__ == "__main__":
    main()
