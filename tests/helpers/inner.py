"""Loops inside a test: a case is what one looks for, its shapes and types are gone through within it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def inner(**combination: object) -> Iterator[None]:
    """Whatever fails in the block names the combination that it failed with."""
    try:
        yield
    except BaseException as failure:  # also pytest's own, as where nothing is raised that should be
        told = ", ".join(f"{name}={value}" for name, value in combination.items())
        failure.add_note(f"with {told}")
        raise
