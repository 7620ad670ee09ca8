"""The work of a search, spread over processes."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from blockwise.system.processes import process_pool

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Workers:
    """Applies functions to items, in the processes of ``pool`` or, without one, in this process."""

    def __init__(self, pool: ProcessPoolExecutor | None = None) -> None:
        self._pool = pool

    def __call__(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """The answers in the order of the items; raises what the function raises."""
        return map(function, items) if self._pool is None else self._pool.map(function, items)


@contextmanager
def workers(jobs: int) -> Iterator[Workers]:
    """``jobs`` processes; 1 does all work in this one."""
    if jobs == 1:
        yield Workers()
        return
    with process_pool(jobs, _begin) as pool:
        yield Workers(pool)


def _begin() -> None:
    """Leave the cores to the other processes."""
    torch.set_num_threads(1)
