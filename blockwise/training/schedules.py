"""How the learning rate goes over a training: its share of the highest rate before each step."""

from bisect import bisect_right
from collections.abc import Callable

MILESTONES = (0.5, 0.75, 0.89, 0.94)
"""Shares of a training at which Nøkland & Eidnes 2019 (arXiv 1901.06656, section 3) lower the rate. Their
program's own default for 400 epochs is 200, 300, 350 and 375, which is 0.875 and 0.9375 for the last two."""

FACTOR = 0.25
"""What the rate is multiplied by at each."""


def one_cycle(progress: float) -> float:
    """Share of the peak learning rate at ``progress`` 0..1: linear up to 0.2, linear down to 0.

    Smith & Topin 2017 (arXiv 1708.07120), with straight lines from and to 0.
    """
    warm = 0.2
    return progress / warm if progress < warm else (1 - progress) / (1 - warm)


def _one_cycle(done: int, total: int) -> float:
    """The curve in the middle of the step.

    No step has the rate 0, and the steps' mean is the curve's, half the peak. A training of a single
    step has 0.625 of the peak.
    """
    return one_cycle((done + 0.5) / total)


def _steps(done: int, total: int) -> float:
    """A quarter of the rate before it from each milestone on."""
    return float(FACTOR ** bisect_right(MILESTONES, done / total))


SCHEDULES: dict[str, Callable[[int, int], float]] = {"one-cycle": _one_cycle, "steps": _steps}
"""Share of the highest rate in the step behind ``done`` of ``total`` steps."""
