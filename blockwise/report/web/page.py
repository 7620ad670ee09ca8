"""The page: what a result says, put into the templates together with styles, scripts and data."""

from dataclasses import dataclass

from markupsafe import Markup

from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.backpropagation import best_line
from blockwise.report.facts import facts, paper_lines, run_line
from blockwise.report.paging import paging_lines
from blockwise.report.scales import y_limits
from blockwise.report.tables import (
    accuracy_table,
    batch_note,
    host_table,
    memory_table,
    one_by_one_note,
    same_bits_note,
)
from blockwise.report.text import KIB, kib, ram_figures
from blockwise.report.times import NOTE, has_times, time_notes, time_table
from blockwise.report.verdict import accuracy_sentence, divergence_sentences, headline, work_sentence
from blockwise.report.web import grids, palette, stills
from blockwise.report.web.addresses import stretches
from blockwise.report.web.advice import advice
from blockwise.report.web.assets import LIBRARY, asset, environment
from blockwise.report.web.cards import cards, order_sentence
from blockwise.report.web.grids import Grid
from blockwise.report.web.payload import packed, payload, stacked_categories

SCRIPTS = ("base.js", "timeline.js", "packing.js", "curves.js", "tables.js", "main.js")
"""In the order in which they build on each other."""


@dataclass(frozen=True)
class Step:
    """What is drawn and listed of a regime's step."""

    regime: str
    peak: str
    operations: int
    top: str  # of the timeline's scale
    above: bool  # whether the usable RAM lies above it
    reach: str  # of the packing map's
    timeline: stills.Still | None
    packing: stills.Still | None
    layers: Grid
    tensors: Grid


def to_html(result: Result) -> str:
    """The page as one file that loads nothing; byte-identical for equal results."""
    trained = any(regime.training for regime in result.regimes)
    return environment().get_template("report.html").render(
        title=f"Blockwise: {result.model.name} on {result.device.title}",
        result=result,
        sentences=[headline(result), *filter(None, (accuracy_sentence(result), work_sentence(result))),
                   *divergence_sentences(result)],
        ram=ram_figures(result.device),
        cards=cards(result), order=order_sentence(result),
        changes=advice(result),
        categories=[(name, palette.variable(name)) for name in stacked_categories(result)],
        steps=_steps(result),
        layer_note=grids.LAYER_NOTE,
        epochs=grids.epochs(result.regimes),
        accuracy=_accuracy(result) if trained else None,
        boards=grids.boards(result) if result.everywhere else None,
        memory=_memory(result) if result.regimes else None,
        times=_times(result), baselines=grids.baselines(result), best=best_line(result),
        paging=_paging(result),
        host=_host(result),
        facts=facts(result), paper=paper_lines(result), run=run_line(result),
        colours=Markup(palette.css()), style=asset("style.css"),
        library=asset(LIBRARY), script=Markup("\n".join(map(asset, SCRIPTS))),
        data=packed(payload(result)),
    )  # fmt: skip


def _paging(result: Result) -> list[tuple[str, dict[str, str]]]:
    """What it costs of each regime that pages."""
    return [(r.regime, paging_lines(r.paging, result, r.mapped_bytes)) for r in result.regimes if r.paging]


def _steps(result: Result) -> list[Step]:
    tops = y_limits(result)
    return [_step(regime, top, result) for regime, top in zip(result.regimes, tops, strict=True)]


def _step(regime: RegimeResult, top: float, result: Result) -> Step:
    categories, usable = stacked_categories(result), result.device.usable_bytes
    shown = stretches(regime.tensors, result.device.runs)
    return Step(
        regime=regime.regime,
        peak=kib(regime.peak_bytes),
        operations=len(regime.timeline),
        top=kib(round(top * KIB)),
        above=usable > top * KIB,
        reach=kib(shown[-1].end if shown else 0),
        timeline=stills.timeline(regime, categories, top * KIB, usable) if regime.timeline else None,
        packing=stills.packing(regime, shown) if shown else None,
        layers=grids.layers(regime),
        tensors=grids.tensors_at_peak(regime),
    )


def _memory(result: Result) -> Grid:
    caption = "The peak by category, in an arena, and at other batch sizes"
    return grids.side_by_side(memory_table(result), caption, batch_note(result))


def _times(result: Result) -> Grid | None:
    if not has_times(result):
        return None
    return grids.side_by_side(time_table(result), f"Time on the board: {NOTE}", *time_notes(result))


def _accuracy(result: Result) -> Grid:
    data = result.data
    counts = f"{data.train:,} training, {data.validation:,} validation and {data.test:,} test images"
    return grids.side_by_side(accuracy_table(result), "What training reached", counts,
                              one_by_one_note(result), same_bits_note(result))  # fmt: skip


def _host(result: Result) -> Grid | None:
    if not any(regime.host for regime in result.regimes):
        return None
    return grids.side_by_side(host_table(result), "What the simulation took on this computer, not the board")
