"""How far an accuracy on a number of test images may be off, and whether two of them can be told apart.

Both speak of the test images alone: another seed of the training may move an accuracy further.
"""

from math import sqrt
from statistics import NormalDist

from blockwise.statistics.spread import CONFIDENCE


def wilson(accuracy: float, images: int) -> tuple[float, float]:
    """The 95 % score interval of a share of ``images`` (Wilson 1927, JASA 22, 209-212), within 0 .. 1."""
    if images < 1:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    shrunk = 1 + z * z / images
    centre = (accuracy + z * z / (2 * images)) / shrunk
    half = z / shrunk * sqrt(accuracy * (1 - accuracy) / images + (z / (2 * images)) ** 2)
    return max(0.0, centre - half), min(1.0, centre + half)


def apart(a: float, b: float, images: int, of_b: int | None = None) -> bool:
    """Whether the 95 % intervals of a and b have no point in common: shares of as many images, or b ``of_b``.

    Shares of which this holds differ by Newcombe's interval of the difference (1998, Statistics in Medicine
    17, 873-890, method 10) as well; the converse does not hold. So it errs towards a tie, and what is called
    one can be seen from the intervals that are shown.
    """
    lower, higher = sorted((wilson(a, images), wilson(b, of_b or images)))
    return higher[0] > lower[1]


def half_width(share: float, images: int) -> float:
    """Half of the interval: what stands behind a share as +-."""
    low, high = wilson(share, images)
    return (high - low) / 2


def at_chance(accuracy: float, images: int, classes: int) -> bool:
    """Whether ``images``, as many of each class, do not tell an accuracy from that of guessing."""
    return images > 0 and classes > 0 and wilson(accuracy, images)[0] <= 1 / classes
