"""The search: measure every candidate, confirm what is best, and say what misses if nothing fits.

While candidates are measured, N blocks are balanced once per head and norm, for one reference step.
Those that come out best are cut again for their own step and placed on the board; whatever changes
or finds no place makes room for others, until all of the front is confirmed. Of a space that is larger
than the search may look at, a sample is measured, and then what is next to the front.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import product

from blockwise import quant
from blockwise.fit.conditions import conditions
from blockwise.fit.confirm import Confirmed, confirm, limits_of
from blockwise.fit.looked import Looked
from blockwise.fit.measure import Limits, Measured, Task, measure
from blockwise.fit.nearest_miss import nearest_miss, smallest_board
from blockwise.fit.networks import BALANCING_HEAD, Atlas, Model, NetworkKey, bodies, merged, survey
from blockwise.fit.pareto_front import pareto
from blockwise.fit.result import FitResult, FrontRow
from blockwise.fit.space import Candidate, Space, candidates
from blockwise.fit.workers import Workers, workers
from blockwise.layers.norms import NORMS
from devices.boards.profile import Device
from devices.errors import InputError

CHUNK = 48
"""Candidates that a process takes at a time."""

Watch = Callable[[Iterable[list[Measured]], int], Iterable[list[Measured]]]
"""Passes results through as they come; told how many there will be."""

Confirm = Callable[[Iterable[Candidate]], Iterator[Confirmed]]

Grow = Callable[[Iterable[Candidate]], list[Measured]]
"""Measures what is next to some candidates and was not measured before; gives what of it may fit."""


def unwatched(results: Iterable[list[Measured]], total: int) -> Iterable[list[Measured]]:
    """The :data:`Watch` that does nothing."""
    return results


def search(
    space: Space, model: Model, device: Device, *, most: int | None = None, jobs: int = 1,
    watch: Watch = unwatched, reserve_kib: int | None = None,
) -> FitResult:  # fmt: skip
    """What fits ``device``, in ``jobs`` processes.

    Looks at all candidates if there are few, else at a sample and at what is next to the front until that is
    all known, but at no more than ``most`` if that is given. ``reserve_kib`` is what other boards keep free
    where none fits: their profiles' own unless given.

    Raises InputError for a model, a bit width, a head or a cut that cannot be, and for a space of which
    nothing can be trained.
    """
    started = time.perf_counter()
    check_bits(space, model)
    limits = limits_of(device)
    for norm in space.norms:
        bodies(model, norm)  # what is traced here is known to the processes that are forked
    with workers(jobs) as run:
        atlas = _survey(space, model, run)
        possible = _possible(space, atlas)
        measure_all = partial(_measure_all, atlas=atlas, model=model, limits=limits, run=run)
        looked = Looked(possible, most, limits, partial(measure_all, watch=watch), measure_all)
        confirm_all: Confirm = partial(run, partial(confirm, model=model, device=device))
        front, dropped = _front(looked.fitting, confirm_all, looked.grow)
        if not front and looked.grow_leanest():
            front, dropped = _front(looked.fitting, confirm_all, looked.grow)
        nearest = board = None
        if not front:
            close = list(confirm_all(m.candidate for m in looked.leanest))
            front, _ = _front([c.measured for c in close if c.fits], confirm_all)
        if not front:
            nearest = nearest_miss(close, model, device)
            board = smallest_board(looked.measured, model, reserve_kib)
    return FitResult(
        conditions(model, device, space), space, limits.usable_bytes, len(possible), len(looked.measured),
        len(looked.fitting), dropped, time.perf_counter() - started, front, nearest, board,
        closed=looked.knows_all_next_to(
            [choice.confirmed.candidate for choice in front] or [m.candidate for m in looked.leanest]
        ),
    )  # fmt: skip


def _possible(space: Space, atlas: Atlas) -> list[Candidate]:
    """Raises InputError where there is none."""
    found = list(candidates(space, atlas))
    if not found:
        raise InputError(
            "--batch-size", got=min(space.batches), do="use a larger batch or another head or model",
            wanted="at least 2, since this network or its heads compare samples",
        )  # fmt: skip
    return found


BITS = "--bits"


def check_bits(space: Space, model: Model) -> None:
    """Raise InputError for an unknown method, or bits that it does not have; 32 are float32 in each."""
    for pair in space.bits:
        _check_pair(pair, model)


def has_bits(pair: tuple[int, int], model: Model) -> bool:
    """Whether the method has these of weights and of activations. Raises InputError for an unknown one."""
    try:
        _check_pair(pair, model)
    except InputError as error:
        if error.subject != BITS:
            raise
        return False
    return True


def _check_pair(pair: tuple[int, int], model: Model) -> None:
    weight, activation = pair
    scheme = quant.scheme(model.method, weight_bits=weight, activation_bits=activation)
    scheme.check(weight, activation, BITS, BITS)


def _survey(space: Space, model: Model, run: Workers) -> Atlas:
    pairs = product(space.norms, dict.fromkeys((BALANCING_HEAD, *space.heads)))
    return merged(run(partial(_survey_pair, space=space, model=model), pairs))


def _survey_pair(pair: tuple[str, str], *, space: Space, model: Model) -> Atlas:
    return survey(model, *pair, space.blocks, space.reference)


def _measure_all(
    chosen: Sequence[Candidate], atlas: Atlas, model: Model, limits: Limits, run: Workers,
    watch: Watch = unwatched,
) -> list[Measured]:  # fmt: skip
    """Figures in the order of the candidates; those of a network stay together."""
    by_network: dict[NetworkKey, list[Candidate]] = defaultdict(list)
    for candidate in chosen:
        by_network[candidate.key].append(candidate)
    tasks = [
        Task(atlas.networks[key], tuple(group[start : start + CHUNK]))
        for key, group in by_network.items()
        for start in range(0, len(group), CHUNK)
    ]
    results = run(partial(measure, model=model, limits=limits), tasks)
    found = {m.candidate: m for chunk in watch(results, len(tasks)) for m in chunk}
    return [found[candidate] for candidate in chosen]


def _front(
    fitting: Sequence[Measured], confirm_all: Confirm, grow: Grow = lambda candidates: []
) -> tuple[tuple[FrontRow, ...], int]:
    """The confirmed front, and how many candidates found no place on the way."""
    alive = {m.candidate: m for m in fitting}
    confirmed: dict[Candidate, Confirmed] = {}
    dropped = 0
    while True:
        rows = list(alive.values())
        groups = [[rows[i] for i in group] for group in pareto([m.objectives for m in rows])]
        best = [min(group, key=_precision).candidate for group in groups]
        unknown = [candidate for candidate in best if candidate not in confirmed]
        if not unknown and (more := grow(best)):
            alive |= {m.candidate: m for m in more}
            continue
        if not unknown:
            ties = (len(group) - 1 for group in groups)
            return tuple(map(FrontRow, (confirmed[c] for c in best), ties)), dropped
        for found in confirm_all(unknown):
            if found.fits:
                confirmed[found.candidate], alive[found.candidate] = found, found.measured
            else:
                del alive[found.candidate]
                dropped += 1


def _precision(measured: Measured) -> tuple[int, int, int]:
    """Lowest for the most precise settings."""
    c = measured.candidate
    return -(c.weight_bits + c.activation_bits), -c.batch, tuple(NORMS).index(c.norm)
