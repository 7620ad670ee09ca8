"""How far an accuracy on a number of test images may be off, and whether two of them can be told apart.

Both speak of the test images alone: another seed of the training may move an accuracy further.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import Any

CONFIDENCE = 0.95


def wilson(accuracy: float, images: int) -> tuple[float, float]:
    """The 95 % score interval of a share of ``images`` (Wilson 1927, JASA 22, 209-212), within 0 .. 1."""
    if images < 1:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    shrunk = 1 + z * z / images
    centre = (accuracy + z * z / (2 * images)) / shrunk
    half = z / shrunk * sqrt(accuracy * (1 - accuracy) / images + (z / (2 * images)) ** 2)
    return max(0.0, centre - half), min(1.0, centre + half)


def apart(a: float, b: float, images: int) -> bool:
    """Whether the 95 % intervals of a and b, each a share of as many images, have no point in common.

    Shares of which this holds differ by Newcombe's interval of the difference (1998, Statistics in Medicine
    17, 873-890, method 10) as well; the converse does not hold. So it errs towards a tie, and what is called
    one can be seen from the intervals that are shown.
    """
    return wilson(max(a, b), images)[0] > wilson(min(a, b), images)[1]


def half_width(share: float, images: int) -> float:
    """Half of the interval: what stands behind a share as +-."""
    low, high = wilson(share, images)
    return (high - low) / 2


def known_to(rows: Sequence[dict[str, Any]]) -> str:
    """How well the test images of recorded runs fix a single error; empty where no run says how many."""
    rows = [row for row in rows if row["test_error"] is not None]
    widths = [half_width(row["test_error"], row["images"][2]) for row in rows if row.get("images")]
    if not widths:
        return ""
    counts = sorted({row["images"][2] for row in rows if row.get("images")})
    return (
        f"One error on {' or '.join(f'{count:,}' for count in counts)} test images is known to "
        f"\N{PLUS-MINUS SIGN}{100 * max(widths):.1f} points (95%), seeds aside: what lies closer is a tie."
    )
