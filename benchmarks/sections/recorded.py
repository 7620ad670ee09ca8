"""Where the records lie."""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from blockwise.studies import records
from blockwise.training.places import Circumstances
from devices.program.regimes import find

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
FIGURES = ROOT / "docs" / "results"


def load(name: str, folder: str = "benchmarks") -> dict[str, Any]:
    """A file of results/benchmarks/ or results/studies/."""
    data: dict[str, Any] = json.loads((RESULTS / folder / f"{name}.json").read_text("utf-8"))
    return data


def runs_of(study: str) -> list[dict[str, Any]]:
    """The recorded runs of a study that compare; none if it was not recorded.

    They are those of one revision of the training, of which most is recorded: once a study is trained anew,
    what earlier revisions ended with is history. Integers have revisions of their own.
    """
    found = records.read(RESULTS / "studies" / f"{study}.jsonl")
    lines = Counter((find(run["regime"]).is_integer, run["revision"]) for run in found)
    shown = {
        integers: max((count, revision) for (of, revision), count in lines.items() if of == integers)[1]
        for integers in {integers for integers, _ in lines}
    }
    return [run for run in found if run["revision"] == shown[find(run["regime"]).is_integer]]


def is_drawn(study: str) -> bool:
    """Whether a study has a figure."""
    return (FIGURES / f"{study}.svg").exists()


def groups(runs: Iterable[dict[str, Any]], *also: str) -> list[list[dict[str, Any]]]:
    """Those of one network, trained on the same images for as long: a table has no others beside them.

    ``also`` are further conditions that they share.
    """
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    names = (*records.SAME, "data", "augment", *also)
    for run in runs:
        conditions = (*(run[name] for name in names), *run["in_shape"])
        found.setdefault(conditions, []).append(run)
    return [*found.values()]


def threads(environment: dict[str, Any]) -> str:
    """How many a record was made on."""
    count = int(environment["threads"])
    return f"{count} thread{'s' if count > 1 else ''}"


def machines(runs: Iterable[dict[str, Any]]) -> str:
    """What trained recorded runs: of one that was moved, where it began and where it ended."""
    return " or ".join(dict.fromkeys(map(_machine, runs)))


def _machine(run: dict[str, Any]) -> str:
    found = [Circumstances(**place["circumstances"]) for place in run.get("places", ())]
    if not found:
        return _told_by_environment(run["environment"])
    trained = [name for name, _ in groupby(circumstances.trains for circumstances in found)]
    between = "".join(f", continued on {name}" for name in trained[1:-1])
    where = f"begun on {trained[0]}{between} and ended on {trained[-1]}" if trained[1:] else trained[0]
    return f"{where}, torch {' and '.join(dict.fromkeys(circumstances.torch for circumstances in found))}"


def _told_by_environment(environment: dict[str, Any]) -> str:
    """Of a line without places; of those that were moved the accelerator was told by hand, and up to when."""
    accelerator = environment.get("accelerator", "cpu")
    processor = f"{threads(environment)} of {environment['processor']}"
    first, moved, _ = accelerator.partition(" to epoch ")
    where = processor if accelerator == "cpu" else first
    if moved:
        where = f"begun on {first} and ended on {processor}"
    return f"{where}, torch {environment['torch']}"
