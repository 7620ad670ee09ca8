"""Seconds to the first line of a plan, and to the end of a dry run, of the default command.

    python benchmarks/start.py [--rounds 5] [--record]

Each round starts the command line anew, warm: one round before is not counted. The plan is told on stderr
before the training, which is then ended. Quoted are medians; the result goes to stdout and to start.json.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import output

from blockwise.experiment.provenance import environment
from blockwise.system.processor import processor

PLAN_SECONDS, DRY_RUN_SECONDS = 3.0, 4.0
"""What is wanted at most, on two quiet cores."""
COMMAND = (sys.executable, str(output.ROOT / "run.py"))


def to_the_plan(folder: Path) -> float:
    """Until the first line of the plan of a run that trains."""
    started = time.perf_counter()
    with subprocess.Popen(
        [*COMMAND, "--out", str(folder)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stderr is not None
        line = run.stderr.readline()
        seconds = time.perf_counter() - started
        os.killpg(run.pid, signal.SIGKILL)  # with what works beside it, which would slow the next down
    if "parameters" not in line:
        raise RuntimeError(f"the first line is not that of a plan: {line!r}")
    return seconds


def of_a_dry_run(folder: Path) -> float:
    """Of the whole command, its files included."""
    started = time.perf_counter()
    command = [*COMMAND, "--dry-run", "--out", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Time, print and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    plans, runs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds + 1):
            plans.append(to_the_plan(Path(folder) / f"plan-{number}"))
            runs.append(of_a_dry_run(Path(folder) / f"dry-{number}"))
    plan, run = statistics.median(plans[1:]), statistics.median(runs[1:])
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    print(f"first line of the plan: {plan:.2f} s, wanted at most {PLAN_SECONDS:g} s")
    print(f"whole dry run: {run:.2f} s, wanted at most {DRY_RUN_SECONDS:g} s; load {load}")
    figures = {
        "conditions": {"processor": processor(), "rounds": arguments.rounds, **environment("cpu")},
        "plan_seconds": plans[1:], "median_plan_seconds": plan,
        "dry_run_seconds": runs[1:], "median_dry_run_seconds": run,
    }  # fmt: skip
    output.keep("start", figures, record=arguments.record)


if __name__ == "__main__":
    main()
