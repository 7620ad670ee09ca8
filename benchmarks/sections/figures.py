"""The figures of studies in the documents, each of the rows of its table."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from blockwise.report.integers import draw_integers
from blockwise.report.precision import draw_precision
from blockwise.report.qat import draw_qat
from blockwise.studies.recipe import PROTOCOLS as RECIPES
from blockwise.studies.summary import summaries
from sections import methods, recipes
from sections.recorded import FIGURES, groups, runs_of


def draw() -> None:
    """All of them, into docs/results/; the same records make the same bytes."""
    for name, make in DRAWN.items():
        if runs_of(name):
            make(FIGURES / name)


def _qat_short(stem: Path) -> None:
    draw_qat(methods.qat_runs(), stem)


def _qat_full(stem: Path) -> None:
    draw_qat(methods.full_runs(), stem)


def _precision(stem: Path) -> None:
    draw_precision(methods.precision_runs(), stem)


def _integers(study: str, stem: Path) -> None:
    runs = groups(runs_of(study))[0]
    draw_integers(runs, summaries(runs), stem)


DRAWN: dict[str, Callable[[Path], None]] = {
    "qat_short": _qat_short,
    "qat_full": _qat_full,
    "precision_short": _precision,
    **{name: partial(_integers, name) for name in ("integer_short", "integer_jumps")},
    **{f"recipe_{name}": partial(recipes.draw, name) for name in RECIPES},
}
"""By record."""
