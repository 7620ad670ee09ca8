"""Where benchmarks leave figures: under runs/ or, told to --record, in results/, which documents show."""

import argparse
import json
from pathlib import Path
from typing import Any

from blockwise.system.files import atomic_write

ROOT = Path(__file__).parents[1]
RECORDS = "results/benchmarks"
TRIALS = "runs/benchmarks"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A command line described by the first line of a script's ``doc``, with ``--record``."""
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument(
        "--record", action="store_true", help=f"keep the figures in {RECORDS}/ (default: {TRIALS}/)"
    )
    return made


def file_of(name: str, *, record: bool) -> Path:
    """The file of the figures of the benchmark ``name``."""
    return ROOT / (RECORDS if record else TRIALS) / f"{name}.json"


def kept(name: str, *, record: bool) -> dict[str, Any]:
    """The figures of the benchmark ``name`` that are there; none if it was not run yet."""
    path = file_of(name, record=record)
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def keep(name: str, figures: dict[str, Any], *, record: bool) -> None:
    """Write the figures of the benchmark ``name``, and tell where on stdout."""
    path = file_of(name, record=record)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(figures, indent=1) + "\n")
    shown = "; documents show it after: python benchmarks/readme.py" if record else ""
    print(f"{path.relative_to(ROOT)}{shown}")
