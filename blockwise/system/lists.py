"""Lists of names in one line."""

from collections.abc import Sequence

NAMED = 6
"""Names that a line lists before it counts the rest."""


def first_few(names: Sequence[str]) -> str:
    """The first few of ``names``, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
