"""Python's collector of garbage in cycles."""

import atexit
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Loaded = TypeVar("Loaded")

SELDOM = (300_000, 20, 100)
"""Allocations before a look at the youngest objects, and looks before one at older ones."""


@contextmanager
def looking_seldom() -> Iterator[None]:
    """Look for cycles seldom inside.

    Plans allocate hundreds of thousands of objects and leave hardly a cycle: to look for them after every
    700, as Python does by default, takes longer than much of the work.
    """
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def leaving_alone(load: Callable[[], Loaded]) -> Iterator[Loaded]:
    """What ``load`` loads, such as modules. What is there then stays: it is not looked at inside.

    Nor is it while it is loaded.
    """
    looked = gc.isenabled()
    gc.disable()
    try:
        loaded = load()
        gc.freeze()
    finally:
        if looked:
            gc.enable()
    try:
        yield loaded
    finally:
        gc.unfreeze()


def looking_no_more() -> None:
    """From the process's end on: what there is goes with it, but Python would look at all of it once more.

    It is not frozen: where anything of theirs is left over, libraries such as Triton complain on stderr.
    """
    atexit.register(gc.disable)
