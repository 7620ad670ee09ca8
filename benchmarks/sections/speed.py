"""How long steps take on a computer."""

from typing import Any

from sections.markdown import table
from sections.recorded import load, threads


def speed() -> str:
    """Step times and ratios of benchmarks/step_time.py."""
    result = load("step_time")
    conditions = result["conditions"]
    intro = (
        f"`uv run benchmarks/step_time.py --compile`: ResNet-20 at width 16, batch {conditions['batch']}, "
        f"{'x'.join(map(str, conditions['shape']))}, 10 blocks, {threads(conditions)} of "
        f"{conditions['processor']}, torch {conditions['torch']}; medians of {conditions['rounds']} "
        "interleaved rounds, ratios within a round. The plain loop uses PyTorch's default layout, ours "
        "channels last."
    )
    batch = conditions["batch"]
    rows = [[name, f"{s * 1e3:,.1f}", f"{batch / s:,.0f}"] for name, s in result["seconds"].items()]
    ratios = [[name, f"{value:.3f}"] for name, value in result["ratios"].items()]
    return "\n\n".join((intro, table(["step", "ms", "images/s"], rows), table(["ratio", "median"], ratios)))


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


def _where(mode: str, c: dict[str, Any]) -> str:
    """What one column was measured on."""
    threads = "1 thread" if c["threads"] == 1 else f"{c['threads']} threads"
    return f"{mode}: {threads} of {c['processor']}, torch {c['torch']}, medians of {c['rounds']} rounds"


def _ratio(found: dict[str, float] | None) -> str:
    return f"{found['ratio']:.2f}" if found else "-"
