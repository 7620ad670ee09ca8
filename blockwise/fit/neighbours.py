"""Where only a sample is measured: the candidates next to what looks best, step by step.

Pareto local search (Paquete, Chiarandini & Stützle 2004, LNEMS 535, 177-199): whatever differs in one
setting from a candidate of the front is looked at too, until the front has no unknown neighbour.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from blockwise.fit.space import Candidate

AXES: tuple[tuple[str, ...], ...] = (
    ("regime", "micro_batch"), ("blocks",), ("head",), ("norm",), ("batch",), ("optimizer",),
    ("weight_bits", "activation_bits"), ("update",),
)  # fmt: skip
"""Settings that change together: of the regimes only bp-micro has micro-batches, and bits are pairs."""


class Neighbours:
    """Of every candidate of a space."""

    def __init__(self, possible: Sequence[Candidate]) -> None:
        self._possible = set(possible)
        self._values: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for axis in AXES:
            found = dict.fromkeys(tuple(getattr(c, name) for name in axis) for c in possible)
            self._values[axis] = [dict(zip(axis, values, strict=True)) for values in found]

    def of(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """What differs from one of ``candidates`` in one setting, in a fixed order, none twice."""
        found: dict[Candidate, None] = {}
        for candidate in candidates:
            for axis in AXES:
                for values in self._values[axis]:
                    other = replace(candidate, **values)
                    if other in self._possible and other != candidate:
                        found[other] = None
        return list(found)
