"""Where the records lie."""

import json
from pathlib import Path
from typing import Any

from blockwise.studies import records

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


def load(name: str) -> dict[str, Any]:
    """A file of results/."""
    data: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return data


def runs_of(study: str) -> list[dict[str, Any]]:
    """The recorded runs of a study."""
    return records.read(RESULTS / f"{study}.jsonl")
