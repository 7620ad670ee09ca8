"""A page of tables, in the style of the report: a verdict, what was done, and a section for each table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from blockwise.report.web import palette
from blockwise.report.web.assets import asset, environment
from blockwise.report.web.grids import Grid

SCRIPTS = ("tables.js", "plain.js")


@dataclass(frozen=True)
class Verdict:
    """A sentence, whether it is good news, and what else is wrong."""

    sentence: str
    good: bool
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A table under a heading, perhaps behind a drawing (``svg`` element)."""

    title: str
    grid: Grid
    figure: Markup = field(default_factory=Markup)


def tables_page(heading: str, verdict: Verdict, facts: Mapping[str, str], sections: Sequence[Section]) -> str:
    """One file that loads nothing."""
    return environment().get_template("tables.html").render(
        title=f"Blockwise: {heading}", heading=heading, verdict=verdict, facts=facts.items(),
        sections=sections, colours=Markup(palette.css()), style=asset("style.css"),
        script=Markup("\n".join(map(asset, SCRIPTS))),
    )  # fmt: skip
