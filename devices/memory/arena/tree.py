"""A tree search for a plan within a given height: complete, so that ending empty-handed is a proof.

As in MiniMalloc (Moffitt, ASPLOS 2023) the plan grows from below, only plans in which everything
lies as deep as it can are looked at, moments that would overflow end a branch, and what is no
longer connected in time is solved apart. The plan is seen as a skyline. Each moment may waste so
many bytes: the height less what is alive. Every stretch between two higher ones is a decision: what
is the first item on it, from its left or from its right, or does nothing lie there? The stretch and
the side with the fewest answers come first. Where the bound is tight that is nearly always one.
"""

import math
import random
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from devices.memory.arena.items import Integers, Items
from devices.memory.arena.limits import NOWHERE
from devices.memory.arena.options import options_at
from devices.memory.arena.partial import Kinds, NextOptions, Partial, SkylineStretch

CLOCK = 256
"""Steps between two looks at the clock."""
MEMORY = 500_000
"""How many dead ends are remembered, at about a hundred bytes each."""
NOTHING = -1
"""In place of a kind: the stretch stays empty."""

Part = tuple[int, int]
"""Moments [first, last), over whose rims nothing lives that is not placed."""
Agenda = tuple[Part, int, "Agenda"] | None
"""Parts to be searched: the first, how many choices were open where it was cut off, and the others."""

_Move = tuple[Part, Agenda, SkylineStretch, int, bool]
"""Where it is decided, what waits, at which stretch, a kind or NOTHING, from the right or the left."""


@dataclass
class Effort:
    """How much may still be searched: ``nodes`` steps, until ``deadline`` (of time.perf_counter)."""

    nodes: int
    deadline: float = math.inf

    @property
    def left(self) -> bool:
        """Whether anything is left."""
        return self.nodes > 0 and time.perf_counter() < self.deadline


class _Choice(NamedTuple):
    """A decision with several answers, of which ``others`` are not tried yet, the best last."""

    length: int  # of the trail before it
    others: list[int]
    part: Part
    at: SkylineStretch
    from_right: bool
    agenda: Agenda
    state: int


class Tree:
    """All plans of ``items`` (dense times) that are no higher than ``height`` bytes.

    ``exhausted`` tells that there is none.
    """

    def __init__(self, items: Items, height: int) -> None:
        self.kinds = Kinds(items, height)
        self.exhausted = min(self.kinds.slack) < 0
        self._dead: set[int] = set()  # states that lead to no plan, whichever search came upon them

    def search(self, nodes: int, effort: Effort, rng: random.Random | None = None) -> Integers | None:
        """Offsets of a plan, or None if there is none or ``nodes`` steps, or the effort, find none.

        ``rng`` puts noise into the order in which answers are tried.
        """
        self._plan, self._choices, self._rng = Partial(self.kinds), list[_Choice](), rng
        part, agenda = (0, self.kinds.moments), None
        while not self.exhausted and nodes > 0 and effort.nodes > 0:
            nodes, effort.nodes = nodes - 1, effort.nodes - 1
            if nodes % CLOCK == 0 and not effort.left:
                return None
            decided = self._decide(part, agenda) or self._go_back()
            if decided is None:
                self.exhausted = True
                return None
            part, agenda, at, kind, from_right = decided
            agenda = self._act(part, agenda, at, kind, from_right)
            if agenda is None:
                return self._plan.all_offsets()
            part, choices, agenda = agenda
            del self._choices[choices:]  # what was decided within parts that are done stays
        return None

    def _decide(self, part: Part, agenda: Agenda) -> _Move | None:
        """The first answer to the next decision, or None at a dead end."""
        start, options = self._tightest(part)
        if not options.number:
            return None
        at = self._plan.stretch(start, *part)
        if options.number == 1:
            return part, agenda, at, options.kinds[0] if options.kinds else NOTHING, options.from_right
        state = hash((part, *self._plan.state(*part)))
        if state in self._dead:
            return None
        answers = [NOTHING] * options.lift + self._worst_first(options.kinds, at)
        kind = answers.pop()
        self._choices.append(
            _Choice(len(self._plan.trail), answers, part, at, options.from_right, agenda, state)
        )
        return part, agenda, at, kind, options.from_right

    def _go_back(self) -> _Move | None:
        """The next answer to the last decision that has one left, or None if there is no such decision."""
        while self._choices:
            choice = self._choices[-1]
            self._plan.back_to(choice.length)
            if choice.others:
                return choice.part, choice.agenda, choice.at, choice.others.pop(), choice.from_right
            if len(self._dead) < MEMORY:
                self._dead.add(choice.state)
            self._choices.pop()
        return None

    def _act(self, part: Part, agenda: Agenda, at: SkylineStretch, kind: int, from_right: bool) -> Agenda:
        """Carry an answer out; what is to be searched now, None if all is placed."""
        plan, choices = self._plan, len(self._choices)
        if kind == NOTHING:
            plan.lift(at)
            return part, choices, agenda
        cuts = plan.place(kind, at, from_right)
        for moment in cuts:
            plan.cut(moment, part[0])
        bounds = [part[0], *cuts, part[1]]
        parts = [p for p in pairwise(bounds) if any(plan.waiting[self.kinds.span(*p)])]
        for smaller in sorted(parts, key=lambda p: p[0] - p[1]):  # the shortest comes first
            agenda = smaller, choices, agenda
        return agenda

    def _tightest(self, part: Part) -> tuple[int, NextOptions]:
        """The stretch of ``part`` between higher ones that has the fewest options."""
        plan, (first, last) = self._plan, part
        end, level, known = plan.end, plan.level, plan.options
        fewest, best, left, start = NOWHERE, (first, NextOptions([], False, False)), NOWHERE, first
        while start < last:
            here, stop = level[start], end[start]
            if here < left and (stop == last or here < level[stop]):
                options = known[start]
                if options is None:
                    options = known[start] = options_at(plan, plan.stretch(start, first, last))
                if options.number < fewest:
                    fewest, best = options.number, (start, options)
                    if fewest <= 1:
                        break
            left, start = here, stop
        return best

    def _worst_first(self, kinds: list[int], at: SkylineStretch) -> list[int]:
        """Snug at the sides counts most; level with a neighbour leaves one stretch instead of two."""
        lower, upper, padded = self.kinds.lower, self.kinds.upper, self.kinds.padded
        flush = min(at.left, at.right) - at.level
        noise = self._rng.random if self._rng else lambda: 0.0
        loose = {
            kind: (lower[kind] != at.start)
            + (upper[kind] != at.end)
            + ((padded[kind] != flush) + noise()) / 2
            for kind in kinds
        }
        return sorted(kinds, key=lambda kind: -loose[kind])
