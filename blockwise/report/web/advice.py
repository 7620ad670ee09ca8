"""What would make a regime fit, in words and as commands."""

import shlex
from dataclasses import dataclass

from blockwise.experiment.result import Result
from blockwise.report.text import fits_words, saved_words, size


@dataclass(frozen=True)
class Advice:
    """A change as it is shown."""

    regime: str
    what: str
    fits: bool
    verdict: str
    peak: str
    saved: str
    than: str  # what it is compared with
    command: str  # empty where no command would do


def advice(result: Result) -> list[Advice]:
    """Every change, in the order of the result."""
    compared = {regime.regime for regime in result.regimes}
    return [
        Advice(
            c.regime, c.what, c.fits, fits_words(c.fits), size(c.peak_bytes), saved_words(c.saved_bytes),
            "as compared" if c.regime in compared else "the lowest of those compared",
            shlex.join(("python", "run.py", *c.command)) if c.command else "",
        )
        for c in result.changes
    ]  # fmt: skip
