"""How many axes an input has is nothing to a board: everything is a map."""

from collections.abc import Sequence

MAP = 3
"""Dimensions of a map behind the batch: the most that lie in memory; views may make more on the way."""


def as_sides(lengths: Sequence[int], of_rows: int = 1) -> tuple[int, int]:
    """A length for each side of a map; that of a signal's is of columns, and ``of_rows`` stands for rows."""
    rows, columns = lengths if len(lengths) == 2 else (of_rows, *lengths)
    return rows, columns


def as_map(shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, H, W) of a shape without the batch: a signal (C, L) is a map of one row, features are one pixel."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    channels, length = (*shape, 1, 1)[:2]
    return channels, 1, length


def lies_as(shape: Sequence[int], view: Sequence[int]) -> bool:
    """Whether a view of a map, channels last, is the map as it lies; flat features lie as their map."""
    return len(view) == 1 or (as_map(shape) == as_map(view) if len(shape) == 1 else shape[0] == view[0])
