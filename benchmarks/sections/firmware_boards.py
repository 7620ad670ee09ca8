"""Firmware on boards, built and emulated."""

from typing import Any

from sections.markdown import table
from sections.recorded import load

HEADER = [
    "regime", "network", "board", "planned", "measured", "static", "stack", "flash", "instructions a step",
    "steps equal", "second opinion",
]  # fmt: skip


def firmware() -> str:
    """results/benchmarks/firmware.json: a row for each combination of regime, network and board."""
    result = load("firmware")
    host = result["environment"]
    intro = (
        "`uv run --extra firmware benchmarks/firmware.py`: bytes. Planned and measured are the arrays of "
        "tensors, run by run where RAM lies in several; static data and stack (by paint; in brackets the "
        "bound that gcc proves of its own build) share the reserve; flash is code and constants. "
        "Instructions are those of the first step, or of one step of each phase together (x n). After every "
        "step all that outlives it is compared, integers with the simulation, floats with the same C on this "
        "computer. Images: the bundled digits, those of 32x32 enlarged. "
        f"{host['processor']}, torch {host['torch']}."
    )
    return f"{intro}\n\n{table(HEADER, [_row(row) for row in result['rows']])}"


def _row(row: dict[str, Any]) -> list[str]:
    first, *others = row["checks"]
    bound = next((c["stack_bound"] for c in row["checks"] if c["stack_bound"] is not None), None)
    phases = f" (x {row['phases']})" if row["phases"] > 1 else ""
    count = first["instructions"]
    return [
        f"`{row['regime']}`",
        _network(row),
        f"{row['board']}, {row['core'].replace('Cortex-', '').removeprefix('2x ')}",
        _bytes(row["planned"]),
        _bytes(first["measured"]),
        str(first["statics"]),
        f"{first['stack']}" + (f" ({bound})" if bound is not None else ""),
        f"{first['flash']:,}",
        "-" if count is None else f"{count:,}{phases}",
        _steps(first),
        "; ".join(_steps(check) for check in others) or "-",
    ]


def _network(row: dict[str, Any]) -> str:
    shape = "x".join(map(str, row["in_shape"]))
    more = "" if row["reference"] == "the simulation" else f", {row['method']}"
    return f"{row['model']}, width {row['width']}, {row['batch']} x {shape}{more}"


def _bytes(runs: dict[str, int]) -> str:
    return " + ".join(f"{count:,}" for count in runs.values())


def _steps(check: dict[str, Any]) -> str:
    verdict = "" if check["equal"] else " NOT equal"
    return f"{check['steps']:,} {check['toolchain']}, {check['emulator']}{verdict}"
