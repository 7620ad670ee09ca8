"""Renderings of a :class:`~blockwise.experiment.result.Result`: terminal, JSON, HTML and pictures."""

from blockwise.experiment.result_json import dumps, read, write
from blockwise.report.console import make_console, print_report, render, show
from blockwise.report.files import named, write_all
from blockwise.report.html_report import to_html
from blockwise.report.integers import draw_integers, integer_table
from blockwise.report.methods import methods_table
from blockwise.report.pictures import timeline_images, timeline_svg_png
from blockwise.report.precision import draw_precision, precision_table
from blockwise.report.qat import draw_qat, qat_table
from blockwise.report.uncertainty import known_to
from blockwise.report.verdict import divergence_sentences, headline

__all__ = [
    "divergence_sentences",
    "draw_integers",
    "draw_precision",
    "draw_qat",
    "dumps",
    "headline",
    "integer_table",
    "known_to",
    "make_console",
    "methods_table",
    "named",
    "precision_table",
    "print_report",
    "qat_table",
    "read",
    "render",
    "show",
    "timeline_images",
    "timeline_svg_png",
    "to_html",
    "write",
    "write_all",
]
