"""Candidates per second of ``run.py fit``: an even sample of its own space, on a stated board.

    python benchmarks/fit.py [--candidates 1000] [--jobs 2] [--rounds 3] [--record]

Every round is a whole search: tracing, cutting, counting, confirming the front. Nothing is kept from
one round to the next. Quoted is the median; the result goes to stdout and to fit.json.
"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import output

from blockwise.fit import Model, Space, search
from blockwise.system.processor import processor
from devices import load

DEVICE, MODEL = "stm32", Model("resnet20", 8)
LIMIT_SECONDS = 10.0  # for 1,000 candidates on two cores


def one_round(candidates: int, jobs: int) -> dict[str, Any]:
    """A search in this process."""
    before = sum(os.times()[:4])  # of this process and those that it has waited for
    result = search(Space(), MODEL, load(DEVICE), most=candidates, jobs=jobs)
    return result.to_json() | {"cpu_seconds": sum(os.times()[:4]) - before}


def in_new_process(candidates: int, jobs: int) -> dict[str, Any]:
    """A search in a process of its own, so that no trace or cut is kept."""
    command = [
        sys.executable,
        __file__,
        "--candidates",
        str(candidates),
        "--jobs",
        str(jobs),
        "--rounds",
        "0",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def main() -> None:
    """Time, print and write; no rounds: search once here and print its JSON."""
    parser = output.parser(__doc__)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.rounds:
        print(json.dumps(one_round(arguments.candidates, arguments.jobs)))
        return
    rounds = [in_new_process(arguments.candidates, arguments.jobs) for _ in range(arguments.rounds)]
    seconds = [found["candidates"]["seconds"] for found in rounds]
    cpu = statistics.median(found["cpu_seconds"] for found in rounds)
    looked_at = rounds[0]["candidates"]["looked_at"]
    median = statistics.median(seconds)
    rate = looked_at / median
    print(
        f"{looked_at:,} candidates in {median:.1f} s: {rate:.0f} candidates/s in {arguments.jobs} processes"
    )
    print(f"1,000 candidates: {1000 / rate:.1f} s, wanted at most {LIMIT_SECONDS:g} s on two cores")
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    print(f"processor time: {cpu:.1f} s, {cpu / arguments.jobs:.1f} s per process; load {load_average}")
    conditions = {
        "processor": processor(), "jobs": arguments.jobs, "rounds": arguments.rounds, "device": DEVICE,
        "model": asdict(MODEL), "space": asdict(Space()),
        "versions": {key: rounds[0]["conditions"][key] for key in ("python", "torch", "git_commit")},
    }  # fmt: skip
    record = {
        "conditions": conditions, "possible": rounds[0]["candidates"]["possible"], "looked_at": looked_at,
        "seconds": seconds, "median_seconds": median, "candidates_per_second": rate,
        "median_processor_seconds": cpu,
        "load_average_after": load_average, "seconds_per_1000": 1000 / rate,
        "limit_seconds_per_1000": LIMIT_SECONDS,
    }  # fmt: skip
    output.keep("fit", record, record=arguments.record)


if __name__ == "__main__":
    main()
