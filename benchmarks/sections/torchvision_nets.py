"""Which networks of torchvision are taken."""

from collections.abc import Mapping
from typing import Any

from sections.markdown import kib, table
from sections.recorded import load


def taken() -> str:
    """results/benchmarks/torchvision_nets.json: plans and a step of each, or why it is refused."""
    result = load("torchvision_nets")
    shape = "x".join(map(str, result["shape"]))
    header = ["network", "parameters", "parts", "`bp` KiB", "`local-resident` KiB"]
    rows = [_row(name, row) for name, row in result["networks"].items()]
    intro = (
        f"`uv run benchmarks/torchvision_nets.py`: at {shape} in 10 classes, LSQ at {result['bits']} bits, "
        f"SGD, one image, {result['blocks']} blocks. Of those that are taken every parameter had a finite "
        "gradient after a step in that form; the others say why not."
    )
    return f"{intro}\n\n{table(header, rows)}"


def _row(name: str, row: Mapping[str, Any]) -> list[str]:
    if "refused" in row:
        return [f"`{name}`", row["refused"], "-", "-", "-"]
    assert not row["without_gradient"]
    peaks = [kib(row["peak_bytes"][regime]) for regime in ("bp", "local-resident")]
    return [f"`{name}`", f"{row['parameters']:,}", str(row["parts"]), *peaks]
