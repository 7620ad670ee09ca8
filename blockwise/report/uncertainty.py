"""How well the test images of recorded runs fix an error, in words."""

from collections.abc import Sequence
from typing import Any

from blockwise.statistics.shares import half_width


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
