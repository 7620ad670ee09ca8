"""Which cases the quick tier takes of those that are alike and slow; all of them are in the whole."""

from collections.abc import Iterable
from typing import Any

import pytest


def quick(names: Iterable[Any], *few: Any) -> list[Any]:
    """``names`` as cases, those beside ``few`` marked slow. Fails if one of the few is none of the names."""
    known = list(names)
    assert set(few) <= set(known), f"{set(few) - set(known)} are no cases"
    return [name if name in few else pytest.param(name, marks=pytest.mark.slow) for name in known]


def shown(names: Iterable[Any], *few: Any) -> list[Any]:
    """``names`` as cases of a slow test, those beside ``few`` marked long. Fails as :func:`quick`."""
    known = list(names)
    assert set(few) <= set(known), f"{set(few) - set(known)} are no cases"
    return [name if name in few else pytest.param(name, marks=pytest.mark.long) for name in known]
