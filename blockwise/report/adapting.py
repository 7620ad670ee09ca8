"""The ways to adapt beside each other, on the terminal and as a page."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from blockwise.adapt.result import REFERENCE, AdaptResult, WayRow
from blockwise.report.console import footnote, labelled
from blockwise.report.spreads import mean_words, p_words, points_words, standing_words
from blockwise.report.text import kib
from blockwise.report.web.grids import Grid
from blockwise.report.web.tables_page import Section, Verdict, tables_page
from blockwise.statistics.paired import ALPHA
from blockwise.statistics.spread import Spread
from blockwise.system.files import atomic_write

HEADINGS = (
    "way", "before", "after", "gain", "p", f"vs {REFERENCE}", "others", "KiB", "fits", "MMAC/step",
    "GMAC", "s", "samples",
)  # fmt: skip


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
        row.way, mean_of(row.before), mean_of(row.after), points_words(row.gain), p_words(row.gain),
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
    return "diverged" if spread is None else mean_words(spread)


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
        **({"Ranking": ranking} if (ranking := standing_words(result.standing)) else {}),
    }


def verdict(result: AdaptResult) -> str:
    """Which way helps most of those that fit, and whether it is more than chance; or that none does."""
    able = [row for row in result.rows if row.fits and row.gain is not None and row.after is not None]
    if not able:
        return "no way that fits the board was trained to the end"
    best = max(able, key=lambda row: row.after.mean if row.after else 0.0)
    assert best.gain is not None
    gain = 100 * best.gain.difference.mean
    most = max(able, key=lambda row: row.gain.difference.mean if row.gain else 0.0)
    assert most.gain is not None
    if most.gain.difference.mean <= 0:
        return f"adapting does not help: the best way that fits, {best.way}, changes {gain:+.1f} points"
    if gain <= 0:
        return (
            f"{best.way} is the most accurate of those that fit, and adapting changes it by {gain:+.1f} "
            f"points; {most.way}, which begins lower, gains most, {points_words(most.gain)}"
        )
    sure = best.gain.p is not None and best.gain.p < ALPHA
    chance = "" if sure else f", which {len(result.people)} people do not tell from chance"
    forgot = best.forgetting.difference.mean if best.forgetting else 0.0
    others = f"; the others {'lose' if forgot > 0 else 'gain'} {abs(100 * forgot):.1f}"
    helping = [row for row in able if row.gain is not None and row.gain.difference.mean > 0]
    least = min(helping, key=lambda row: row.peak_bytes)
    lean = "" if least is best else f"; with the least RAM that helps {least.way}, {points_words(least.gain)}"
    does = "gains most of those that fit" if best is most else "is the most accurate of those that fit"
    return f"{best.way} {does}: {gain:+.1f} points{chance}{_ties(result)}{others}{lean}"


def _ties(result: AdaptResult) -> str:
    found = result.standing
    if found is None or not found.ties:
        return ""
    return f"; {len(found.ties)} of {len(found.rivals)} others tie with it"


def notes(result: AdaptResult) -> tuple[str, ...]:
    """What the columns are."""
    return (
        "Accuracies on test samples of the person held out, before and after adapting; mean and standard "
        f"deviation over n = {len(result.people)} people. p: paired t-test of the gain, from three people "
        f"on. vs {REFERENCE}: after, beside backpropagation, person by person. others after: people who were "
        f"neither trained on nor held out, {percent(_first(result))} before.",
        "KiB: the peak of a step in RAM. samples: passed until the accuracy stays within "
        f"{100 * result.conditions['margin']:g} points of the last. GMAC and s: multiply-accumulates and "
        "seconds of the whole adaptation; seconds are estimates, of the instructions of the firmware's "
        "kernels or, *, of multiply-accumulates.",
    )


def _first(result: AdaptResult) -> Spread | None:
    return next((row.others_before for row in result.rows if row.others_before), None)


def write_page(result: AdaptResult, path: Path) -> None:
    """The same as a page."""
    told = facts(result)
    sentence, good = told.pop("Verdict"), any(row.fits and row.gain is not None for row in result.rows)
    rows = tuple(tuple(cells(row)) for row in result.rows)
    grid = Grid("Ways to adapt", HEADINGS, rows, 1, sortable=True, notes=notes(result))
    heading = f"Adapting to {'a person' if len(result.people) == 1 else 'people'}"
    page = tables_page(heading, Verdict(sentence, good), told, [Section("Ways", grid)])
    atomic_write(path, page)
