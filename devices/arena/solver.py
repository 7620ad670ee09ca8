"""CP-SAT on one knot: a better plan, or a proof that none is lower. Needs ortools (the extra ``arena``)."""

import math
from collections import defaultdict
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from devices.arena.items import Integers, Items
from devices.arena.limits import Walls


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
    """Look for a plan of at least ``low`` units that is lower than the plan ``best``.

    Lifetimes are fixed, so that only addresses are sought: at each moment the living items, and the
    walls, must be disjoint in one dimension. Items that are alike keep their order.
    """
    from ortools.sat.python import cp_model

    high = int((best + items.size).max())
    model = cp_model.CpModel()
    height = model.new_int_var(low, high - 1, "height")
    sizes = items.size.tolist()
    offsets = [model.new_int_var(0, high - 1 - size, "") for size in sizes]
    spans = [model.new_fixed_size_interval_var(o, s, "") for o, s in zip(offsets, sizes, strict=True)]
    barriers = [model.new_fixed_size_interval_var(a, b - a, "") for a, b in walls]
    for moment in range(items.moments):
        living = np.flatnonzero((items.lower <= moment) & (moment < items.upper))
        model.add_no_overlap([*(spans[i] for i in living), *barriers])
    for offset, size in zip(offsets, sizes, strict=True):
        model.add(offset + size <= height)
    hint = best.tolist()
    for alike in _alike(items):
        starts = sorted(hint[i] for i in alike)
        for item, start in zip(alike, starts, strict=True):
            hint[item] = start
        for before, after in pairwise(alike):
            model.add(offsets[before] + sizes[before] <= offsets[after])
    for offset, start in zip(offsets, hint, strict=True):
        model.add_hint(offset, start)
    model.minimize(height)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    status = solver.solve(model)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        found = np.array([solver.value(offset) for offset in offsets], np.int64)
        return Answer(found, int(solver.best_objective_bound))
    if status == cp_model.INFEASIBLE:
        return Answer(None, high)
    bound = solver.best_objective_bound  # infinite where the time was up before there was any
    return Answer(None, max(low, int(bound)) if math.isfinite(bound) else low)


def _alike(items: Items) -> list[list[int]]:
    """Groups of items with the same size and lifetime."""
    groups: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    rows = zip(items.size.tolist(), items.lower.tolist(), items.upper.tolist(), strict=True)
    for item, row in enumerate(rows):
        groups[row].append(item)
    return [group for group in groups.values() if len(group) > 1]
