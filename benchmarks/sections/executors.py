"""The same study by every executor."""

from typing import Any

from sections.markdown import table
from sections.recorded import load


def executors() -> str:
    """results/benchmarks/executors.json: what a study records by each executor, with workers that die."""
    result = load("executors")
    conditions, rows = result["conditions"], result["rows"]
    methods, shape = conditions["methods"], "x".join(map(str, conditions["in_shape"]))
    intro = (
        "`uv run --extra ray benchmarks/executors.py`: the study of methods, preset "
        f"`{conditions['protocol']}`, on {conditions['data']} ({shape}): {conditions['model']} of width "
        f"{conditions['width']}, {conditions['epochs']} epochs, `bp`, one thread each. A worker that died "
        "was the first to end an epoch, and got SIGKILL. Records are equal but for their times; digests "
        "are CRC-32 of the trained weights."
    )
    header = ["executor", "workers", "died", "equal records", *(f"digest of `{name}`" for name in methods)]
    return f"{intro}\n\n{table(header, [_line(r) for r in rows])}"


def _line(r: dict[str, Any]) -> list[str]:
    died = ", ".join(f"that of `{name}`" for name in r["died"]) or "-"
    digests = (f"`{digest}`" for digest in r["digests"])
    return [r["executor"], str(r["workers"]), died, f"{r['equal']} of {r['records']}", *digests]
