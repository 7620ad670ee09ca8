"""The digits in which the reference study prints memory.

Worked out from its tables and the bytes behind them: decimal megabytes, rounded half up to two
decimals, below 0.01 MB to one significant digit. A total adds the printed entries and is rounded
like them, so that float32 inference is 0.07 + 1.08 = 1.15 MB although its bytes, 1,144,424, are
1.14 MB. Cutting off instead would print 1.07 for the parameters, rounding up 0.11 for those of W3.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

MB = 1_000_000
TWO_DECIMALS = Decimal("0.01")


def printed(count: int) -> Decimal:
    """Bytes as the study prints them, in MB: 0.07, 1.08, 0.006."""
    return _rounded(Decimal(count) / MB)


def printed_total(entries: Iterable[Decimal]) -> Decimal:
    """The total that the study prints beneath printed ``entries``."""
    return _rounded(sum(entries, Decimal(0)))


def _rounded(value: Decimal) -> Decimal:
    if 0 < value < TWO_DECIMALS:
        one_digit = value.quantize(Decimal(1).scaleb(value.adjusted()), ROUND_HALF_UP)
        if one_digit < TWO_DECIMALS:
            return one_digit
    return value.quantize(TWO_DECIMALS, ROUND_HALF_UP)
