"""Renderings of a :class:`~blockwise.experiment.result.Result`: terminal, JSON, HTML and pictures."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blockwise.experiment.result_json import dumps, read, write
    from blockwise.report.console import make_console, print_report, render, show, show_table
    from blockwise.report.file_names import named
    from blockwise.report.files import write_all
    from blockwise.report.integers import draw_integers, integer_standing, integer_table
    from blockwise.report.methods import methods_table
    from blockwise.report.pictures import timeline_images, timeline_svg_png
    from blockwise.report.precision import draw_precision, precision_table
    from blockwise.report.precision_front import precision_means, precision_standings
    from blockwise.report.qat import distance_notes, draw_qat, qat_standing, qat_table
    from blockwise.report.recipe import draw_recipes, recipe_notes, recipe_table, recipe_told
    from blockwise.report.screens import more, opening, screen
    from blockwise.report.seeds import seeds_answer, seeds_report
    from blockwise.report.two_runs import difference
    from blockwise.report.uncertainty import known_to
    from blockwise.report.verdict import answer, divergence_sentences, headline
    from blockwise.report.web import to_html
    from blockwise.report.web.study import integer_means, qat_means, recipe_means, write_study

__all__ = [
    "answer",
    "difference",
    "distance_notes",
    "divergence_sentences",
    "draw_integers",
    "draw_precision",
    "draw_qat",
    "draw_recipes",
    "dumps",
    "headline",
    "integer_means",
    "integer_standing",
    "integer_table",
    "known_to",
    "make_console",
    "methods_table",
    "more",
    "named",
    "opening",
    "precision_means",
    "precision_standings",
    "precision_table",
    "print_report",
    "qat_means",
    "qat_standing",
    "qat_table",
    "read",
    "recipe_means",
    "recipe_notes",
    "recipe_table",
    "recipe_told",
    "render",
    "screen",
    "seeds_answer",
    "seeds_report",
    "show",
    "show_table",
    "timeline_images",
    "timeline_svg_png",
    "to_html",
    "write",
    "write_all",
    "write_study",
]

_HOMES = {
    "experiment.result_json": ("dumps", "read", "write"),
    "report.console": ("make_console", "print_report", "render", "show", "show_table"),
    "report.screens": ("more", "opening", "screen"),
    "report.seeds": ("seeds_answer", "seeds_report"),
    "report.two_runs": ("difference",),
    "report.file_names": ("named",),
    "report.files": ("write_all",),
    "report.integers": ("draw_integers", "integer_standing", "integer_table"),
    "report.methods": ("methods_table",),
    "report.pictures": ("timeline_images", "timeline_svg_png"),
    "report.precision": ("draw_precision", "precision_table"),
    "report.precision_front": ("precision_means", "precision_standings"),
    "report.qat": ("distance_notes", "draw_qat", "qat_standing", "qat_table"),
    "report.recipe": ("draw_recipes", "recipe_notes", "recipe_table", "recipe_told"),
    "report.uncertainty": ("known_to",),
    "report.verdict": ("answer", "divergence_sentences", "headline"),
    "report.web": ("to_html",),
    "report.web.study": ("integer_means", "qat_means", "recipe_means", "write_study"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a rendering on first use: a verdict on the terminal waits for no library of pictures."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'blockwise.report' has no attribute {name!r}")
    return getattr(import_module(f"blockwise.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    """What there is, imported or not."""
    return sorted({*globals(), *_HOME_OF})
