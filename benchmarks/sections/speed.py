"""How long steps take on a computer."""

from collections.abc import Callable
from typing import Any

from sections.markdown import table
from sections.recorded import load, threads


def speed() -> str:
    """Step times and ratios of benchmarks/step_time.py, by the instructions of the processors."""
    result = load("step_time")
    conditions = next(iter(result.values()))["conditions"]
    intro = (
        f"`uv run benchmarks/step_time.py --compile`: ResNet-20 at width 16, batch {conditions['batch']}, "
        f"{'x'.join(map(str, conditions['shape']))}, 10 blocks; medians of interleaved rounds, ratios within "
        "a round. The plain loop uses PyTorch's default layout, ours channels last. "
        + "; ".join(_on(name, found["conditions"]) for name, found in result.items())
        + "."
    )
    steps = _beside([found["seconds"] for found in result.values()], lambda s: f"{s * 1e3:,.1f}")
    ratios = _beside([found["ratios"] for found in result.values()], lambda value: f"{value:.3f}")
    tables = (table(["step", *(f"ms, {n}" for n in result)], steps), table(["ratio", *result], ratios))
    return "\n\n".join((intro, *tables))


def _beside(columns: list[dict[str, float]], text: Callable[[float], str]) -> list[list[str]]:
    """A row for each name that any of the columns has."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [[name, *(text(c[name]) if name in c else "-" for c in columns)] for name in names]


def quantizers() -> str:
    """results/benchmarks/quantizers.json: times relative to float32."""
    result = load("quantizers")
    found = {mode: result.get(mode, {}).get("methods", {}) for mode in ("eager", "compiled")}
    names = list(dict.fromkeys([*found["eager"], *found["compiled"]]))
    rows = [[name, *(_ratio(methods.get(name)) for methods in found.values())] for name in names]
    c = next(iter(result.values()))["conditions"]
    intro = (
        "`uv run benchmarks/quantizers.py [--compile]`: forward, backward and update of ResNet-20 at width "
        f"16, batch {c['batch']}, {'x'.join(map(str, c['shape']))}, against float32 in the same rounds. "
        + "; ".join(_where(mode, table["conditions"]) for mode, table in result.items())
        + "."
    )
    return f"{intro}\n\n{table(['method', 'eager : eager fp32', 'compiled : compiled fp32'], rows)}"


def _on(instructions: str, c: dict[str, Any]) -> str:
    return f"{_where(instructions, c)}, memory that steps free {c['freed_memory']}"


def _where(mode: str, c: dict[str, Any]) -> str:
    """What one column was measured on."""
    return f"{mode}: {threads(c)} of {c['processor']}, torch {c['torch']}, medians of {c['rounds']} rounds"


def _ratio(found: dict[str, float] | None) -> str:
    return f"{found['ratio']:.2f}" if found else "-"
