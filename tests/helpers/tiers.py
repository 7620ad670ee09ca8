"""Which cases the quick tier takes of those that are alike and slow; all of them are in the long one."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest

VARIED = ("fp32", "lsq", "lsq-plus", "twn", "bnn", "sat", "quant-noise", "inq", "centroids", "ptq-mse")
"""Methods that differ in what they keep, draw and update: one of a kind."""


def tiered(
    names: Iterable[Any], few: Collection[Any], more: Collection[Any], *, spread: bool = False
) -> list[Any]:
    """``names`` as cases: ``few`` as they are, ``more`` marked slow and the others long.

    ``spread`` where each is a tuple of the values of several parameters. Fails if one of those named is
    none of the names.
    """
    known = list(names)
    assert {*few, *more} <= set(known), f"{ {*few, *more} - set(known) } are no cases"

    def case(name: Any) -> Any:
        marks = () if name in few else pytest.mark.slow if name in more else pytest.mark.long
        return pytest.param(*(name if spread else (name,)), marks=marks)

    return [case(name) for name in known]


def quick(names: Iterable[Any], *few: Any) -> list[Any]:
    """``names`` as cases, those beside ``few`` marked slow."""
    known = list(names)
    return tiered(known, few, known)


def shown(names: Iterable[Any], *few: Any, spread: bool = False) -> list[Any]:
    """``names`` as cases of a slow test, those beside ``few`` marked long."""
    return tiered(names, few, (), spread=spread)
