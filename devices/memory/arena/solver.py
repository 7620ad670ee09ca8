"""CP-SAT on one knot: a better plan, or a proof that none is lower. Needs ortools (the extra ``arena``)."""

import math
from collections import defaultdict
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from devices.memory.arena.items import Integers, Items
from devices.memory.arena.limits import Walls


@dataclass(frozen=True)
class Answer:
    """Offsets of a plan that is lower than the best known (or None), and the height proven necessary."""

    offsets: Integers | None
    bound: int


def available() -> bool:
    """Whether ortools is installed."""
    return find_spec("ortools") is not None


def solve(
    items: Items, low: int, best: Integers, *, seconds: float, workers: int, seed: int, walls: Walls = ()
) -> Answer:
    """Look for a plan of at least ``low`` bytes that is lower than the plan ``best``.

    Lifetimes are fixed, so that only addresses are sought: at each moment the living items must be
    disjoint in one dimension, and each must miss the walls. Items that are alike keep their order.
    """
    from ortools.sat.python import cp_model

    high, step = items.height(best), items.alignment
    model = cp_model.CpModel()
    height = model.new_int_var(low, high - 1, "height")
    sizes, padded = items.size.tolist(), (items.padded // step).tolist()
    offsets = [
        model.new_int_var_from_domain(cp_model.Domain.from_intervals(_free(size, high - 1, step, walls)), "")
        for size in sizes
    ]  # in multiples of the alignment
    spans = [model.new_fixed_size_interval_var(o, p, "") for o, p in zip(offsets, padded, strict=True)]
    for moment in range(items.moments):
        living = np.flatnonzero((items.lower <= moment) & (moment < items.upper))
        model.add_no_overlap(spans[i] for i in living)
    for offset, size in zip(offsets, sizes, strict=True):
        model.add(step * offset + size <= height)
    for alike in _alike(items):
        for before, after in pairwise(alike):
            model.add(offsets[before] + padded[before] <= offsets[after])
    for offset, start in zip(offsets, _hint(items, best), strict=True):
        model.add_hint(offset, start)
    model.minimize(height)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    status = solver.solve(model)
    bound = solver.best_objective_bound  # infinite where the time was up before there was any
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Answer(step * np.array([solver.value(offset) for offset in offsets], np.int64), int(bound))
    if status == cp_model.INFEASIBLE:
        return Answer(None, high)
    return Answer(None, max(low, int(bound)) if math.isfinite(bound) else low)


def _hint(items: Items, best: Integers) -> list[int]:
    """The offsets of ``best`` in multiples of the alignment, items that are alike in their order."""
    hint: list[int] = (best // items.alignment).tolist()
    for alike in _alike(items):
        for item, start in zip(alike, sorted(hint[i] for i in alike), strict=True):
            hint[item] = start
    return hint


def _free(size: int, height: int, step: int, walls: Walls) -> list[tuple[int, int]]:
    """Intervals of offsets at which ``size`` bytes miss the walls and end within ``height``."""
    starts = [0, *(end for _, end in walls)]
    ends = [*(start for start, _ in walls), height]
    last = ((min(end, height) - size) // step for end in ends)
    return [(a // step, b) for a, b in zip(starts, last, strict=True) if a // step <= b]


def _alike(items: Items) -> list[list[int]]:
    """Groups of items with the same size and lifetime."""
    groups: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    rows = zip(items.size.tolist(), items.lower.tolist(), items.upper.tolist(), strict=True)
    for item, row in enumerate(rows):
        groups[row].append(item)
    return [group for group in groups.values() if len(group) > 1]
