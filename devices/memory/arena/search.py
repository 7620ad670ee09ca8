"""Tree searches for ever lower plans: :mod:`devices.memory.arena.tree`, restarted often.

Where a plan has to be tight, most tries find one at once or never. So each try is short, has a
little noise in its order, and is a little longer than the one before; dead ends are remembered.
"""

import random
from dataclasses import dataclass

from devices.memory.arena.items import Integers, Items
from devices.memory.arena.tree import Effort, Tree

FIRST_NODES = 2
"""Steps per item in the first try."""
GROWTH = 1.02
"""Of the steps from one try to the next."""
MIDDLE = 4
"""Every so many tries one is for the middle."""


@dataclass(frozen=True)
class Found:
    """The best plan that is known, and a height that no plan is below."""

    offsets: Integers
    bound: int


def improve(items: Items, goal: int, known: Found, effort: Effort, seed: int, *, only: bool = False) -> Found:
    """The lowest plan found, that which is ``known`` if none is lower; ends at ``goal`` or with the effort.

    Most tries are for the goal itself, or for the least height that is not ruled out, and some for
    the middle between it and the best plan: the first has little choice and is quick, the second is
    likelier to exist. With ``only`` all are for the goal, until it is proven out of reach.
    """
    rng, noise, nodes = random.Random(seed), None, float(FIRST_NODES * len(items))
    best, bound, height = known.offsets, known.bound, items.height(known.offsets)
    trees: dict[int, Tree] = {}
    tries = 0
    while height > max(goal, bound) and effort.left:
        least = max(goal, bound)
        tries += 1
        wanted = least if only or tries % MIDDLE else (least + height - 1) // 2
        trees = {at: tree for at, tree in trees.items() if least <= at < height}
        tree = trees.get(wanted) or trees.setdefault(wanted, Tree(items, wanted))
        found = tree.search(int(nodes), effort, noise)
        if found is not None:
            best, height = found, items.height(found)
        elif tree.exhausted:
            bound, only = wanted + 1, False
        noise, nodes = rng, nodes * GROWTH
    return Found(best, bound)
