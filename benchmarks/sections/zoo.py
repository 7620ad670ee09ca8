"""Which networks of public collections are taken."""

from collections.abc import Mapping
from typing import Any

from sections.markdown import kib, table
from sections.recorded import load

COMMANDS = {
    "torchvision": "uv run benchmarks/zoo.py torchvision",
    "timm": "uv run --with timm benchmarks/zoo.py timm",
}  # fmt: skip


def torchvision() -> str:
    """results/benchmarks/zoo.json, those of torchvision."""
    return _taken("torchvision")


def timm() -> str:
    """results/benchmarks/zoo.json, those of timm."""
    return _taken("timm")


def _taken(zoo: str) -> str:
    """Plans and a step of each, or why it is refused."""
    result = load("zoo")
    found = result["zoos"][zoo]
    shape = "x".join(map(str, result["shape"]))
    header = ["network", "parameters", "parts", "`bp` KiB", "`local-resident` KiB"]
    rows = [_row(name, row) for name, row in found["networks"].items()]
    intro = (
        f"`{COMMANDS[zoo]}` ({zoo} {found['version']}): at {shape} in 10 classes, LSQ at {result['bits']} "
        f"bits, SGD, one image, {result['blocks']} blocks. Of those that are taken every parameter had a "
        "finite gradient after a step in that form; the others say why not."
    )
    return f"{intro}\n\n{table(header, rows)}"


def _row(name: str, row: Mapping[str, Any]) -> list[str]:
    if "refused" in row:
        return [f"`{name}`", row["refused"], "-", "-", "-"]
    assert not row["without_gradient"]
    peaks = [kib(row["peak_bytes"][regime]) for regime in ("bp", "local-resident")]
    return [f"`{name}`", f"{row['parameters']:,}", str(row["parts"]), *peaks]
