"""What power cuts leave of trainings on emulated boards."""

from typing import Any

from sections.markdown import table
from sections.recorded import load

WITHIN = ("start", "restore", "step", "save", "erase", "program")
"""What cuts were in, in the order of a training."""


def cuts() -> str:
    """results/benchmarks/power_cuts.json: trainings that were cut, and how many ended with the same bits."""
    result = load("power_cuts")
    conditions, rows = result["conditions"], result["rows"]
    trainings, equal = (sum(r[what] for r in rows) for what in ("trainings", "equal"))
    intro = (
        f"`uv run --extra firmware benchmarks/power_cuts.py`: {trainings:,} trainings of "
        f"{conditions['steps']} steps, saved at every {conditions['save_every']}, each cut at a random "
        "instruction and every fifth once more; sectors and units in bytes, cuts by what they were in. "
        f"{equal:,} ended with the bits of the training that is not disturbed."
    )
    header = ["regime", "board", "state", "sector", "unit", "trainings", "equal", *WITHIN]
    return f"{intro}\n\n{table(header, [_line(r) for r in rows])}"


def _line(r: dict[str, Any]) -> list[str]:
    sizes = (r["state_bytes"], r["erase_bytes"], r["program_bytes"], r["trainings"], r["equal"])
    counts = (r["within"].get(what, 0) for what in WITHIN)
    return [f"`{r['regime']}`", r["board"], *(f"{n:,}" for n in (*sizes, *counts))]


def long_run() -> str:
    """results/benchmarks/long_run.json: a long training that is switched off again and again."""
    r = load("long_run")
    return (
        f"`uv run --extra firmware benchmarks/long_run.py`: {r['steps']:,} updates of `{r['regime']}` "
        f"({r['model']}, width 16, the digits, one image at a time) on an emulated {r['board']}, switched "
        f"off and on again at every {r['restart_every']:,} steps, saved at every {r['save_every']}. All "
        f"{r['state_bytes']:,} bytes of state were compared with the simulation after every step: equal, at "
        f"the end with CRC-32 `{r['checksum']}`."
    )
