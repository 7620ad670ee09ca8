"""Mean and standard deviation of a sample, and the interval of the mean behind it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Of at least one value."""

    mean: float
    deviation: float | None  # divided by n - 1; None for one value
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Mean and deviation of ``values``. Raises statistics.StatisticsError if there is none."""
        return cls(mean(values), stdev(values) if len(values) > 1 else None, len(values))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the mean of all lies at 95 %, by Student's t; None for one value."""
        if self.deviation is None:
            return None
        if not self.deviation:
            return self.mean, self.mean
        from scipy.stats import t  # type: ignore[import-untyped]  # slow to import

        low, high = t.interval(CONFIDENCE, self.n - 1, self.mean, self.deviation / math.sqrt(self.n))
        return float(low), float(high)
