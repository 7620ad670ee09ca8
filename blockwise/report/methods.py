"""The catalogue of quantization methods on the terminal."""

from rich.text import Text

from blockwise import quant
from blockwise.quant.scheme import spelt
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import ABSENT

HEADINGS = ("method", "levels", "weights", "activations", "edge", "trained", "what it does", "source")


def methods_table() -> Ruled:
    """A row per method."""
    table = ruled_table()
    for heading in HEADINGS:
        table.add_column(Text(heading, style="bold"), no_wrap=heading == "method")
    for entry in quant.METHODS.values():
        table.add_row(*(Text(cell) for cell in method_cells(entry)))
    return Ruled(table)


def method_cells(entry: quant.Method) -> tuple[str, ...]:
    """The row's cells, in the order of the headings."""
    return (
        entry.name,
        entry.levels,
        _bits(entry, "weight"),
        _bits(entry, "activation"),
        _edge(entry),
        _trained(entry),
        entry.description,
        entry.source,
    )


def _bits(entry: quant.Method, role: quant.Role) -> str:
    if entry.levels == "float":
        return ABSENT
    return spelt(entry.bits(role)) if entry.quantizer(role) else f"by {entry.partner}"


def _edge(entry: quant.Method) -> str:
    """Bits of first and last layer."""
    width = {32: "float", 1: "own bits"}.get(entry.edge_bits, f"{entry.edge_bits} bits")
    return f"{width} by {entry.edge_method}" if entry.edge_method else width


def _trained(entry: quant.Method) -> str:
    """Trained values per layer: weights, activations."""
    counts = []
    for role in quant.ROLES:
        kind = entry.quantizer(role)
        if kind is not None and entry.levels != "float":
            bits = entry.bits(role)
            memory = kind.memory(3 if 3 in bits else bits[-1])
            counts.append(str(memory.trained) + ("/block" if memory.blocks and memory.trained else ""))
    return ", ".join(counts) or ABSENT
