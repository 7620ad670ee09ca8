"""The ways to adapt beside each other, on the terminal and as a page."""

import io
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from blockwise.adapt.result import REFERENCE, AdaptResult, Paired, Spread, WayRow
from blockwise.report.console import footnote, labelled
from blockwise.report.text import kib
from blockwise.system.files import atomic_write

HEADINGS = (
    "way", "before", "after", "gain", "p", f"vs {REFERENCE}", "others", "KiB", "fits", "MMAC/step",
    "GMAC", "s", "samples",
)  # fmt: skip
ALPHA = 0.05


def render(result: AdaptResult) -> RenderableType:
    """The conditions, the table, and what its columns mean."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("way", "fits") else "right", no_wrap=True)
    for row in result.rows:
        style = "" if row.fits else "dim"
        table.add_row(*cells(row), style=style)
    return Group(
        labelled(facts(result)), Padding(table, (1, 0, 0, 0)), Text(""), *map(footnote, notes(result))
    )


def cells(row: WayRow) -> list[str]:
    """One for each of :data:`HEADINGS`."""
    return [
        row.way, mean_of(row.before), mean_of(row.after), points(row.gain), p_value(row.gain),
        f"{100 * row.reference.difference.mean:+.1f}" if row.reference else "-", mean_of(row.others_after),
        kib(row.peak_bytes), "yes" if row.fits else "no",
        f"{row.macs_per_step / 1e6:,.2f}", f"{row.macs / 1e9:,.2f}",
        seconds(row), counted(row.samples),
    ]  # fmt: skip


def mean_of(spread: Spread | None) -> str:
    """A mean in per cent; the deviation of what matters, the gain, stands beside it."""
    return "-" if spread is None else f"{100 * spread.mean:.1f}%"


def percent(spread: Spread | None) -> str:
    """A mean with its deviation, in per cent."""
    if spread is None:
        return "diverged"
    return f"{100 * spread.mean:.1f}%" + (f" ±{100 * spread.deviation:.1f}" if spread.deviation else "")


def points(paired: Paired | None) -> str:
    """A difference in points, with its deviation over people."""
    if paired is None:
        return "-"
    found = paired.difference
    return f"{100 * found.mean:+.1f}" + (f" ±{100 * found.deviation:.1f}" if found.deviation else "")


def p_value(paired: Paired | None) -> str:
    """Of the paired test."""
    if paired is None or paired.p is None:
        return "-"
    return f"{paired.p:.3f}" if paired.p >= 0.001 else "<0.001"


def seconds(row: WayRow) -> str:
    """On the board; what rests on multiply-accumulates alone has a mark."""
    if row.seconds is None:
        return "-"
    return f"{row.seconds:,.0f}" + ("" if row.time_basis == "instructions" else "*")


def counted(spread: Spread | None) -> str:
    """A mean number of samples."""
    return "-" if spread is None else f"{spread.mean:,.0f}"


def facts(result: AdaptResult) -> dict[str, str]:
    """Label -> line."""
    said = result.conditions
    networks = list(dict.fromkeys(row.network for row in result.rows))
    integers = [row.way for row in result.rows if row.network != networks[0]]
    network = networks[0] + (f"; {networks[1]} in {', '.join(integers)}" if integers else "")
    people = f"{', '.join(result.people)}, one at a time; the network is trained on the others"
    return {
        "Board": said["board"],
        "Network": f"{network}; {said['precision']}",
        "Held out": people,
        "Split": said["split"],
        "Adapting": said["adapting"],
        "Verdict": verdict(result),
    }


def verdict(result: AdaptResult) -> str:
    """Which way helps most of those that fit, and whether it is more than chance; or that none does."""
    able = [row for row in result.rows if row.fits and row.gain is not None and row.after is not None]
    if not able:
        return "no way that fits the board was trained to the end"
    best = max(able, key=lambda row: row.after.mean if row.after else 0.0)
    assert best.gain is not None
    gain = 100 * best.gain.difference.mean
    if gain <= 0:
        return f"adapting does not help: the best way that fits, {best.way}, changes {gain:+.1f} points"
    sure = best.gain.p is not None and best.gain.p < ALPHA
    chance = "" if sure else f", which {len(result.people)} people do not tell from chance"
    forgot = best.forgetting.difference.mean if best.forgetting else 0.0
    others = f"; the others {'lose' if forgot > 0 else 'gain'} {abs(100 * forgot):.1f}"
    helping = [row for row in able if row.gain is not None and row.gain.difference.mean > 0]
    least = min(helping, key=lambda row: row.peak_bytes)
    lean = "" if least is best else f"; with the least RAM that helps {least.way}, {points(least.gain)}"
    return f"{best.way} gains most of those that fit: {gain:+.1f} points{chance}{others}{lean}"


def notes(result: AdaptResult) -> tuple[str, ...]:
    """What the columns are."""
    return (
        "Accuracies on test samples of the person held out, before and after adapting; mean and standard "
        f"deviation over n = {len(result.people)} people. p: paired t-test of the gain. vs {REFERENCE}: "
        "after, beside backpropagation, person by person. others after: people who were neither trained on "
        f"nor held out, {percent(_first(result))} before.",
        "KiB: the peak of a step in RAM. samples: passed until the accuracy stays within "
        f"{100 * result.conditions['margin']:g} points of the last. GMAC and s: multiply-accumulates and "
        "seconds of the whole adaptation; seconds are estimates, of the instructions of the firmware's "
        "kernels or, *, of multiply-accumulates.",
    )


def _first(result: AdaptResult) -> Spread | None:
    return next((row.others_before for row in result.rows if row.others_before), None)


def write_page(result: AdaptResult, path: Path) -> None:
    """The same as a page."""
    console = Console(record=True, width=150, file=io.StringIO())
    console.print(render(result))
    atomic_write(path, console.export_html(inline_styles=True))
