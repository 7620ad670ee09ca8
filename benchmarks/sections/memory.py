"""What a step holds: regimes by three routes, arenas, the reference study, and the rate of a search."""

from collections.abc import Iterable
from typing import Any

from sections.markdown import kib, table
from sections.recorded import load


def baselines() -> str:
    """benchmarks/baselines.py: the regimes by three routes."""
    result = load("baselines")
    c = result["conditions"]
    intro = (
        f"`uv run benchmarks/baselines.py`: {c['model']} at width {c['width']}, "
        f"{'x'.join(map(str, c['in_shape']))}, float32, {c['optimizer']}, {c['blocks']} blocks with "
        f"{c['head']} heads, `bp-micro` one image at a time; KiB. *Program*: a direct C implementation; "
        f"*arena*: its addresses; *PyTorch*: the schedule of what eager PyTorch {c['torch']} does, and the "
        "storages counted in a real step of it."
    )
    header = ["batch, regime", "program", "arena", "PyTorch, scheduled", "PyTorch, counted", "MMAC/image",
              "flash/step"]  # fmt: skip
    rows = [
        [
            f"{r['batch']}, `{r['regime']}`",
            *(kib(r[key]) for key in ("device_bytes", "arena_bytes", "pytorch_bytes", "counted_bytes")),
            f"{r['macs'] / r['batch'] / 1e6:,.1f}", kib(r["flash_bytes"]),
        ]
        for r in result["rows"]
    ]  # fmt: skip
    return f"{intro}\n\n{table(header, rows)}"


def executor() -> str:
    """benchmarks/executor.py: float regimes on bytes against the simulation."""
    result = load("executor")
    rows = [
        [
            f"`{regime}`", f"{r['steps']:,}", f"{r['largest_difference']:.1e}", str(r["beyond_tolerance"]),
            f"{r['flips']:,} of {r['codes']:,}",
        ]
        for regime, r in result["regimes"].items()
    ]  # fmt: skip
    header = ["regime", "steps", "largest difference", f"beyond {result['tolerance']:g}", "codes otherwise"]
    intro = (
        "`uv run benchmarks/executor.py`: one step of a small network, on bytes at planned addresses, from "
        "the simulation's own state; differences relative to the length of the update. Every product of "
        "fp32, LSQ, DoReFa, PACT, TWN and LQ-Net, three optimizers, five norms, updates at once or at the "
        "end, and a residual network, a plain one and the cnn."
    )
    farthest = max(r.get("farthest_beyond", 0.0) for r in result["regimes"].values())
    beyond = (
        "A step of zeroth order is as long as two losses differ, each rounded to 24 bits: where they hardly "
        "do, the last bit of a loss is more than that share of the update. In steps beyond it no value is "
        f"farther off than {farthest:.1e}{_bits(result['regimes'].values())}."
    )
    return f"{intro}\n\n{table(header, rows)}" + (f"\n\n{beyond}" if farthest else "")


def _bits(regimes: Iterable[dict[str, Any]]) -> str:
    """How far the losses of these steps are from float64, if that is recorded."""
    found = [r["last_bits"] for r in regimes if "last_bits" in r]
    if not found:
        return ""
    here, there = (max(sides) for sides in zip(*found, strict=True))
    return (
        "; the difference of losses that they go by is within "
        f"{here:.1f} last bits of that in float64 in PyTorch, and within {there:.1f} on bytes"
    )


def arena() -> str:
    """benchmarks/arena.py: gaps and times."""
    result = load("arena")
    steps, hard = result["training"], result["hard"]
    slowest = max(steps, key=lambda row: row["seconds"])
    tight, tight_hard = (sum(row["gap"] == 0 for row in rows) for rows in (steps, hard))
    return (
        f"`uv run benchmarks/arena.py`, {result['conditions']['processor']}: the arena is as low as the live "
        f"bytes (gap 0) in {tight} of {len(steps)} training steps of built-in networks, torchvision's "
        f"ResNet-50 and a synthetic one of 2,000 tensors (at most {max(row['gap'] for row in steps):.2%} "
        f"above in the others), the slowest in {slowest['seconds'] * 1e3:.0f} ms ({slowest['model']}, "
        f"`{slowest['regime']}`, {slowest['buffers']:,} tensors); in {tight_hard} of {len(hard)} generated "
        "hard instances of 100 to 200 tensors, the slowest in "
        f"{max(row['seconds'] for row in hard) * 1e3:.0f} ms.{_large(result)}{_public(result)}"
    )


def _large(result: dict[str, Any]) -> str:
    """Perfect packings by their number of tensors; nothing where none is recorded."""
    told = []
    for count in sorted({row["buffers"] for row in result.get("large", [])}):
        rows = [row for row in result["large"] if row["buffers"] == count]
        gap, seconds = (max(row[key] for row in rows) for key in ("gap", "seconds"))
        told.append(f"{gap:.2%} with {count:,} tensors ({len(rows)}, the slowest in {seconds:.1f} s)")
    return f" Cut rectangles end at most this far above the optimum: {', '.join(told)}." if told else ""


def _public(result: dict[str, Any]) -> str:
    """MiniMalloc's instances; nothing where they are not recorded."""
    rows = result.get("public", [])
    if not rows:
        return ""
    slowest = max(rows, key=lambda row: row["seconds"])
    fitting = sum(row["fits"] for row in rows)
    return (
        f" Of MiniMalloc's {len(rows)} public instances, {fitting} are placed within "
        f"their {result['conditions']['public_capacity']:,} bytes, the slowest ({slowest['instance']}) in "
        f"{slowest['seconds']:.1f} s."
    )


def study_memory() -> str:
    """results/studies/memory.json: totals and the sum of their differences."""
    result = load("memory", "studies")
    rows = [
        [
            f"{t['precision']} {t['phase']}", f"{t['total']['study']} MB", kib(t["total"]["formula_bytes"]),
            kib(t["total"]["program_bytes"]), _largest(t["differences"]),
        ]
        for t in result["tables"]
    ]  # fmt: skip
    header = ["batch 1", "study", "its formula, KiB", "program, KiB", "the largest difference"]
    return table(header, rows)


def _largest(differences: list[dict[str, Any]]) -> str:
    found = max(differences, key=lambda d: abs(d["bytes"]))
    return f"{kib(found['bytes'])} KiB: {found['words']}"


def fit() -> str:
    """results/benchmarks/fit.json: how fast candidates are looked at."""
    result = load("fit")
    conditions = result["conditions"]
    return (
        f"`uv run benchmarks/fit.py`: {result['looked_at']:,} candidates in {result['median_seconds']:.1f} s "
        f"on {conditions['jobs']} cores of {conditions['processor']} (median of {conditions['rounds']} "
        f"rounds).\n\n{_fronts()}"
    )


def _fronts() -> str:
    """results/benchmarks/fit_fronts.json: the refined front beside that of all candidates."""
    rows = [
        [
            f"`{name}`, {r['board']}", f"{r['possible']:,}", f"{r['looked_at']:,}", str(r["front"]),
            str(r["missed"]), str(r["extra"]), f"{r['processor_seconds']['refined']:.0f}",
            f"{r['processor_seconds']['all']:.0f}",
        ]
        for name, r in load("fit_fronts")["networks"].items()
    ]  # fmt: skip
    header = ["network, board", "candidates", "looked at", "front", "missed", "beside it", "CPU s", "`--all`"]
    return (
        "`uv run benchmarks/fit_fronts.py`: the front that is found by default, by a sample that grows "
        f"around its best, beside that of every candidate (`--all`).\n\n{table(header, rows)}"
    )
