"""Renderings of a :class:`~blockwise.experiment.result.Result`: terminal, JSON, HTML and pictures."""

from typing import TYPE_CHECKING

from blockwise.system.lazily import lazily

if TYPE_CHECKING:
    from blockwise.experiment.result_json import dumps, read, write
    from blockwise.report.console import make_console, print_report, render, show, show_table
    from blockwise.report.file_names import named
    from blockwise.report.files import write_all
    from blockwise.report.integers import (
        draw_integers,
        integer_standing,
        integer_table,
        one_by_one_words,
    )
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
    "one_by_one_words",
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
    "blockwise.experiment.result_json": ("dumps", "read", "write"),
    "blockwise.report.console": ("make_console", "print_report", "render", "show", "show_table"),
    "blockwise.report.screens": ("more", "opening", "screen"),
    "blockwise.report.seeds": ("seeds_answer", "seeds_report"),
    "blockwise.report.two_runs": ("difference",),
    "blockwise.report.file_names": ("named",),
    "blockwise.report.files": ("write_all",),
    "blockwise.report.integers": (
        "draw_integers",
        "integer_standing",
        "integer_table",
        "one_by_one_words",
    ),
    "blockwise.report.methods": ("methods_table",),
    "blockwise.report.pictures": ("timeline_images", "timeline_svg_png"),
    "blockwise.report.precision": ("draw_precision", "precision_table"),
    "blockwise.report.precision_front": ("precision_means", "precision_standings"),
    "blockwise.report.qat": ("distance_notes", "draw_qat", "qat_standing", "qat_table"),
    "blockwise.report.recipe": ("draw_recipes", "recipe_notes", "recipe_table", "recipe_told"),
    "blockwise.report.uncertainty": ("known_to",),
    "blockwise.report.verdict": ("answer", "divergence_sentences", "headline"),
    "blockwise.report.web": ("to_html",),
    "blockwise.report.web.study": ("integer_means", "qat_means", "recipe_means", "write_study"),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
