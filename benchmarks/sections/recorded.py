"""Where the records lie."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blockwise.studies import records

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


def load(name: str, folder: str = "benchmarks") -> dict[str, Any]:
    """A file of results/benchmarks/ or results/studies/."""
    data: dict[str, Any] = json.loads((RESULTS / folder / f"{name}.json").read_text("utf-8"))
    return data


def runs_of(study: str) -> list[dict[str, Any]]:
    """The recorded runs of a study."""
    return records.read(RESULTS / "studies" / f"{study}.jsonl")


def recorded_runs(study: str) -> list[dict[str, Any]]:
    """Of a study that may not have been run."""
    return runs_of(study) if (RESULTS / "studies" / f"{study}.jsonl").exists() else []


def groups(runs: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Those of one network, trained on the same images for as long: a table has no others beside them."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        conditions = (*(run[name] for name in records.SAME), run["data"], *run["in_shape"])
        found.setdefault(conditions, []).append(run)
    return [*found.values()]


def threads(environment: dict[str, Any]) -> str:
    """How many a record was made on."""
    count = int(environment["threads"])
    return f"{count} thread{'s' if count > 1 else ''}"
