"""Instructions of a step by operation: a table of the largest, and a picture of all."""

from matplotlib.figure import Figure
from rich.text import Text

from blockwise.firmware.check.checked import OperationCost, StepCost
from blockwise.report.panels import INK, MUTED
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import ABSENT, broken, duration

HEADINGS = ("operation", "instructions", "share", "MAC", "per MAC")
LISTED = 10
"""Operations of the table."""
DRAWN = 40
"""Bars of the picture at most, the smallest of a longer step in one."""
NAME_WIDTH = 44
COLOUR, REST = "#0072B2", "#999999"
BAR_IN, FRAME_IN, WIDTH_IN = 0.2, 1.3, 11.0


def instruction_table(cost: StepCost, phases: int = 1) -> Ruled:
    """The operations that take most, what is left, and the step, or one of each phase, with its time."""
    table = ruled_table()
    first, *others = HEADINGS
    table.add_column(Text(first, style="bold"))
    for heading in others:
        table.add_column(Text(heading, style="bold"), justify="right", no_wrap=True)
    *rows, total = instruction_rows(cost, phases)
    for name, *cells in rows:
        table.add_row(Text(broken(name, NAME_WIDTH)), *map(Text, cells))
    table.add_section()
    table.add_row(*(Text(broken(cell, NAME_WIDTH), style="bold") for cell in total))
    return Ruled(table)


def instruction_rows(cost: StepCost, phases: int = 1) -> list[tuple[str, ...]]:
    """The cells; the last row is the step's, of several ``phases`` that of one step of each."""
    ordered = largest(cost)
    rows = [row(cost, x.name, x.instructions, x.macs) for x in ordered[:LISTED]]
    rest = ordered[LISTED:]
    if rest or cost.between:
        name = f"{len(rest)} more, and between operations"
        instructions = sum(x.instructions for x in rest) + cost.between
        rows.append(row(cost, name, instructions, sum(x.macs for x in rest)))
    whole = "the step" if phases == 1 else f"a step of each of {phases} phases"
    return [*rows, row(cost, f"{whole}, about {duration(cost.seconds)}", cost.instructions, cost.macs)]


def largest(cost: StepCost) -> list[OperationCost]:
    """Operations by their instructions, of equal ones in the order of the step."""
    return sorted(cost.operations, key=lambda x: -x.instructions)


def row(cost: StepCost, name: str, instructions: int, macs: int) -> tuple[str, ...]:
    """The cells of an operation: its name, its instructions with their share, and its products."""
    share = instructions / cost.instructions if cost.instructions else 0
    per_mac = f"{instructions / macs:.2f}" if macs else ABSENT
    return (
        name, f"{instructions:,}", f"{100 * share:.1f} %",
        f"{macs:,}" if macs else ABSENT, per_mac,
    )  # fmt: skip


def pace_note(cost: StepCost) -> str:
    """What the estimate of the time rests on."""
    return f"time at {cost.clock_mhz:g} MHz by {cost.rests_on}; no cycle was counted"


def figure(cost: StepCost, heading: str) -> Figure:
    """A bar for each operation, in the order of the step; what each takes per multiply-accumulate."""
    shown = _drawn(cost)
    height = FRAME_IN + BAR_IN * len(shown)
    made = Figure(figsize=(WIDTH_IN, height))
    axes = made.add_axes((0.33, 0.62 / height, 0.62, BAR_IN * len(shown) / height))
    counts = [instructions for _, instructions, _ in shown]
    colours = [COLOUR if macs else REST for _, _, macs in shown]
    axes.barh(range(len(shown)), counts, color=colours, height=0.72)
    axes.set_yticks(range(len(shown)), [name for name, _, _ in shown], fontsize=7.5, color=INK)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xlim(0, 1.18 * max(counts, default=1))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("instructions; beside a bar: per multiply-accumulate")
    for place, (_, instructions, macs) in enumerate(shown):
        text = f" {instructions / macs:.2f} per MAC" if macs else ""
        axes.text(instructions, place, text, va="center", fontsize=7, color=MUTED)
    made.suptitle(heading, x=0.02, y=1 - 0.14 / height, ha="left", va="top", fontsize=13, fontweight="bold")
    return made


def _drawn(cost: StepCost) -> list[tuple[str, int, int]]:
    """Name, instructions and MACs of the largest operations in the order of the step, the others together."""
    kept = {x.operation for x in largest(cost)[:DRAWN]}
    bars = [(x.name, x.instructions, x.macs) for x in cost.operations if x.operation in kept]
    rest = [x for x in cost.operations if x.operation not in kept]
    if rest:
        name = f"{len(rest)} smaller operations"
        bars.append((name, sum(x.instructions for x in rest), sum(x.macs for x in rest)))
    return bars
