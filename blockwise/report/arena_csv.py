"""Every tensor of a step as CSV: its address, its size and when it is alive."""

import csv
import io

from blockwise.experiment.result import RegimeResult
from blockwise.report.text import shape

COLUMNS = (
    "id", "lower", "upper", "size", "offset", "run", "address", "category", "owner", "shape", "bits",
)  # fmt: skip
"""``upper`` is exclusive, as MiniMalloc has it; ``offset`` counts from the start of the ``run`` of RAM."""


def arena_csv(regime: RegimeResult) -> str:
    """A line for each tensor in the order of the program; bytes are decimal, addresses hexadecimal."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for t in regime.tensors:
        address = "" if t.address is None else f"{t.address:#010x}"
        writer.writerow(
            (t.name, t.first, t.last + 1, t.bytes, t.offset, t.run, address, t.category, t.owner,
             shape(t.shape), t.bits)
        )  # fmt: skip
    return out.getvalue()
