"""The memory study on the terminal: the study's tables, the program's figures, and what lies between."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import ABSENT, broken, join, kib, shape, short_category, size
from blockwise.studies.memory_result import Entry, MemoryStudy, MemoryTable, ParameterRow

MB, MIB = 1_000_000, 2**20
MODEL_NAME_WIDTH = 16


def render(study: MemoryStudy) -> RenderableType:
    """Conditions, the four memory tables with their differences, and the parameter table."""
    parts: list[RenderableType] = [_conditions(study)]
    for table in study.tables:
        parts += [_above(memory_table(table)), _above(difference_lines(table))]
    parts += [_above(Text("Parameters of well-known networks, float32", style="bold underline"))]
    parts += [_above(parameter_table(study.parameters)), _above(Text(reading_sentence(study)))]
    return Group(*parts)


def memory_table(table: MemoryTable) -> Ruled:
    """The study's printed figures, its formula in KiB, and the program at its peak."""
    title = f"{table.precision} {table.phase}, batch {table.batch_size}"
    rows = ruled_table()
    rows.add_column(Text(title, style="bold"), min_width=30)
    for heading in ("study, MB", "formula, KiB", "program, KiB", "program, MB"):
        rows.add_column(Text(heading, style="bold"), justify="right", no_wrap=True)
    for entry in table.entries:
        rows.add_row(*_cells(entry), end_section=entry is table.entries[-1])
    rows.add_row(*(Text(cell.plain, style="bold") for cell in _cells(table.total)))
    return Ruled(rows)


def difference_lines(table: MemoryTable) -> Table:
    """From the formula's total to the program's, in bytes that add up."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "right", "right", "left"):
        grid.add_column(justify=justify)
    total = table.total
    grid.add_row("", "bytes", "KiB", "", style="bold")
    if total.formula_bytes is not None:
        grid.add_row("", *_amounts(total.formula_bytes), "by the study's formula")
    for line in table.differences:
        grid.add_row("-" if line.bytes < 0 else "+", *_amounts(abs(line.bytes)), line.words)
    grid.add_row("=", *_amounts(total.program_bytes), f"at the program's peak, {table.peak_operation}")
    return grid


def _amounts(count: int) -> tuple[str, str]:
    return f"{count:,}", kib(count)


def parameter_table(rows: tuple[ParameterRow, ...]) -> Ruled:
    """Counted parameters beside the study's whole numbers, and how these may be read."""
    table = ruled_table()
    for heading in ("network", "torchvision"):
        table.add_column(Text(heading, style="bold"))
    for heading in ("parameters", "bytes", "MB", "MiB", "study"):
        table.add_column(Text(heading, style="bold"), justify="right", no_wrap=True)
    table.add_column(Text("study's reading", style="bold"))
    for row in rows:
        table.add_row(
            row.title, broken(row.model, MODEL_NAME_WIDTH), f"{row.parameters:,}", f"{row.bytes:,}",
            f"{row.bytes / MB:.2f}", f"{row.bytes / MIB:.2f}", str(row.study), row.reading or ABSENT,
        )  # fmt: skip
    return Ruled(table)


def reading_sentence(study: MemoryStudy) -> str:
    """Whether one rule explains the whole table, and otherwise which rules it takes."""
    if study.uniform_readings:
        return f"One reading gives all of the study's figures: {study.uniform_readings[0]}."
    rows = study.parameters
    rules = dict.fromkeys(row.reading for row in rows if row.reading)
    parts = [f"{rule} ({join([r.model for r in rows if r.reading == rule])})" for rule in rules]
    return f"No single reading gives all of the study's figures; they take {join(parts)}."


def _cells(entry: Entry) -> list[Text]:
    formula = ABSENT if entry.formula_bytes is None else kib(entry.formula_bytes)
    cells = (short_category(entry.name), entry.study or ABSENT, formula, kib(entry.program_bytes))
    return [*map(Text, cells), Text(f"{entry.program_bytes / MB:.3f}")]


def _conditions(study: MemoryStudy) -> Table:
    c = study.conditions
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    lines = {
        "Network": f"{c['model']}, width {c['width']}, {c['model_parameters']:,} parameters, "
        f"{shape(tuple(c['in_shape']))}",
        "Board": f"{c['device_title']}, {size(c['ram_bytes'])} RAM, tensors padded to "
        f"{c['alignment_bytes']} bytes",
        "Study": "its formula: parameters and activations, both at the precision's bits; its digits: MB, "
        "rounded half up to two decimals (below 0.01 to one digit), totals added from printed entries",
        "Program": "inference: packed weights, folded norms, one image, nothing kept; training: one step of "
        f"{c['regime']}, {c['optimizer']}, update at the {c['update']}",
    }
    for label, line in lines.items():
        grid.add_row(Text(label, style="bold"), line)
    return grid


def _above(part: RenderableType) -> Padding:
    return Padding(part, (1, 0, 0, 0))
