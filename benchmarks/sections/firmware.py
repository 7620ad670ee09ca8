"""What the firmware takes on emulated cores."""

from typing import Any

from sections.markdown import table
from sections.recorded import load

FORMS = {"plain": "plain", "dsp": "DSP", "mve": "MVE"}
"""Kernels by the instructions that they use."""


def kernels() -> str:
    """results/benchmarks/firmware_kernels.json: instructions per multiply-accumulate."""
    result = load("firmware_kernels")
    conditions, rows = result["conditions"], result["rows"]
    layer, boards = conditions["layer"], ", ".join(f"{c}: {b}" for c, b in conditions["boards"].items())
    columns = list(dict.fromkeys((r["core"], r["form"], r["compiler"]) for r in rows))
    found = {(r["kernel"], r["core"], r["form"], r["compiler"]): r for r in rows}
    lines = [
        [name, *(f"{found[name, *column]['per_mac']:.2f}" for column in columns)]
        for name in dict.fromkeys(r["kernel"] for r in rows)
    ]
    intro = (
        "`uv run benchmarks/firmware_kernels.py`: instructions per multiply-accumulate of a "
        f"{layer['kernel']}x{layer['kernel']} convolution of {layer['channels']} to {layer['filters']} "
        f"channels on a map of {layer['size']}x{layer['size']} ({conditions['macs']:,} products, those with "
        "the padding and with the zeros that a max pool leaves counted as made), emulated; instructions are "
        "not cycles. Plain C, the DSP extension (two products an instruction), MVE (vectors); zig, and gcc "
        f"where it says so. Boards: {boards}. Stack: at most {_stack(rows):,} bytes."
    )
    return f"{intro}\n\n{table(['kernel', *map(_heading, columns)], lines)}"


def _heading(column: tuple[str, str, str]) -> str:
    core, form, compiler = column
    return f"{core.removeprefix('Cortex-')} {FORMS[form]}" + (", gcc" if compiler == "gcc" else "")


def _stack(rows: list[dict[str, Any]]) -> int:
    """The most that any kernel took, of those that were looked at."""
    return max(int(r["stack_bytes"]) for r in rows if r["stack_bytes"] is not None)


def board_time() -> str:
    """results/benchmarks/board_time.json: estimated instructions of a step beside counted ones."""
    result = load("board_time")
    rows = [
        [
            f"`{r['regime']}`", _network(r), f"{r['board']}, {r['core'].split('-')[-1]}",
            f"{r['instructions']:,}", f"{r['estimated']:,}", f"{100 * r['error']:+.1f} %",
        ]
        for r in result["recorded"]
    ]  # fmt: skip
    errors = sorted(abs(r["error"]) for r in result["recorded"])
    fitted = result["steps"]
    cores = ", ".join(dict.fromkeys(step["core"] for step in fitted))
    intro = (
        f"`uv run --extra firmware benchmarks/board_time.py`: weights are fitted to {len(fitted)} steps, "
        f"counted operation by operation on {cores}; here are the steps of `benchmarks/firmware.py`, "
        "of other networks, shapes and boards (of one with several phases one step of each together; a step "
        "with a kernel that none of the fitted ones has is left out). "
        f"Median error {100 * errors[len(errors) // 2]:.1f} %, the largest {100 * errors[-1]:.1f} %."
    )
    header = ["regime", "network", "board", "counted", "estimated", "error"]
    return f"{intro}\n\n{table(header, rows)}"


def _network(row: dict[str, Any]) -> str:
    shape = "x".join(map(str, row["in_shape"]))
    return f"{row['model']}, width {row['width']}, {row['batch']} x {shape}"
