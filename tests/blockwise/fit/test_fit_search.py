"""The search: its front is what runs of the comparison would show; misses are explained."""

from dataclasses import replace
from itertools import pairwise, product

import pytest

from blockwise.cli.commands.compare import parse
from blockwise.experiment.prepare import prepare
from blockwise.fit import Model, Space, looked, pareto, search
from blockwise.fit.confirm import Confirmed, limits_of, planned
from blockwise.fit.measure import Measured
from blockwise.fit.nearest_miss import smallest_board
from blockwise.fit.neighbours import Neighbours
from blockwise.fit.search import _front
from blockwise.fit.space import Candidate
from devices import load
from devices.boards.profile import catalogue
from devices.errors import InputError

MODEL = Model("cnn", 4, (1, 8, 8))
BOARD = load("stm32f103")
NAMED = Space(
    blocks=("stages",), heads=("gap", "lookahead:8"), norms=("batch", "group"), batches=(1, 4),
    optimizers=("sgd", "adam"), bits=((3, 3),),
)  # fmt: skip


@pytest.fixture(scope="module")
def balanced():
    """Blocks are balanced for batch 16 and adam, and trained with others too."""
    space = Space(
        ("bp-checkpoint", "local", "local-paged", "local-resident"), ("2",), ("gap", "lookahead:8"),
        ("batch",), (16, 1, 4), optimizers=("adam", "sgd"), bits=((8, 8), (2, 2)),
    )  # fmt: skip
    return search(space, MODEL, load("stm32"))


@pytest.mark.slow
def test_the_front_is_what_the_comparison_shows_for_the_same_flags(balanced):
    assert len(balanced.front) > 2
    for choice in balanced.front:
        found = choice.confirmed
        flags = [*found.candidate.flags, "--model", "cnn", "--width", "4", "--data", "digits"]
        setup = prepare(parse(flags))
        assert setup.dataset.in_shape == MODEL.in_shape
        plan = setup.plan(found.candidate.regime)
        assert plan.peak_bytes == found.measured.peak_bytes
        assert plan.schedule.macs == found.measured.macs
        assert plan.schedule.flash_written_bytes == found.measured.flash_written_bytes
        assert plan.arena.height == found.arena_bytes
        assert plan.fits and found.fits


@pytest.mark.slow
def test_the_front_is_a_front_with_rising_peaks(balanced):
    points = [choice.confirmed.measured.objectives for choice in balanced.front]
    assert len(pareto(points)) == len(points)
    assert all(a[0] <= b[0] for a, b in pairwise(points))
    assert balanced.nearest is balanced.smallest_board is None
    assert balanced.looked_at == balanced.possible >= balanced.fitting


def test_two_processes_find_what_one_finds():
    space = replace(NAMED, regimes=("bp", "local", "local-paged"))
    one, two = (search(space, MODEL, load("stm32"), jobs=jobs) for jobs in (1, 2))
    assert replace(one, seconds=0) == replace(two, seconds=0)


def test_errors_leave_the_processes_whole():
    with pytest.raises(InputError, match="head width"):
        search(replace(NAMED, heads=("lookahead:wide",)), MODEL, BOARD, jobs=2)


WIDE = replace(
    NAMED, regimes=("bp", "bp-fused", "local", "local-paged", "local-resident"), blocks=("stages", "2"),
    norms=("batch", "group", "batch-recompute"), bits=((2, 2), (3, 3), (8, 8)),
)  # fmt: skip


def figures(result):
    return [choice.confirmed.measured.objectives for choice in result.front]


@pytest.fixture(scope="module")
def whole():
    return search(WIDE, MODEL, load("stm32"))


@pytest.mark.slow
def test_a_search_that_may_look_at_a_part_finds_the_front_of_the_whole(whole):
    assert whole.closed and not whole.sampled
    part = search(WIDE, MODEL, load("stm32"), most=whole.possible // 3)
    assert part.sampled and part.closed
    assert part.looked_at <= whole.possible // 3
    assert figures(part) == figures(whole)


@pytest.mark.slow
def test_a_search_that_grows_as_it_wants_to_finds_the_front_of_the_whole(whole, monkeypatch):
    monkeypatch.setattr(looked, "SMALL", whole.possible // 8)
    part = search(WIDE, MODEL, load("stm32"))
    assert part.sampled and part.closed
    assert part.looked_at < whole.possible / 2
    assert figures(part) == figures(whole)


@pytest.mark.slow
def test_a_front_with_unknown_neighbours_says_so(whole):
    part = search(WIDE, MODEL, load("stm32"), most=30)
    assert part.looked_at == 30 and not part.closed
    assert figures(part) != figures(whole)


def test_neighbours_differ_in_one_setting_and_none_is_left_out():
    axes = (1, 4), (3, 2), ("batch", "group")
    every = [candidate(*values) for values in product(*axes)]
    near = Neighbours(every).of([every[0]])
    assert set(near) == {candidate(4, 3, "batch"), candidate(1, 2, "batch"), candidate(1, 3, "group")}
    assert len(near) == 3
    assert set(Neighbours(every).of(every)) == set(every)


def candidate(batch=1, bits=3, norm="batch", regime="bp"):
    return Candidate(regime, None, None, norm, batch, "sgd", bits, bits, "end", None)


def confirming(exact):
    """As Confirm; ``exact`` gives other figures, or None for what finds no place."""

    def confirm(candidates):
        for c in candidates:
            peak = exact.get(c, 100)
            yield Confirmed(Measured(c, peak or 0, c.batch, 0, 0), peak or 0, 0, peak is not None)

    return confirm


def test_of_equal_figures_the_most_precise_is_kept():
    tied = [
        candidate(2, 3), candidate(4, 2), candidate(2, 3, "group"), candidate(4, 3, "group"),
        candidate(4, 3, "batch-recompute"), candidate(4, 3),
    ]  # fmt: skip
    front, dropped = _front([Measured(c, 100, c.batch, 0, 0) for c in tied], confirming({}))
    assert [(c.confirmed.candidate, c.ties) for c in front] == [(candidate(4, 3), 5)]
    assert dropped == 0


def test_what_finds_no_place_or_turns_out_larger_makes_room():
    a, b, c = (candidate(bits=bits) for bits in (4, 3, 2))
    measured = [Measured(x, peak, 1, 0, 0) for x, peak in ((a, 90), (b, 95), (c, 100))]
    front, dropped = _front(measured, confirming({a: None, b: 120}))
    assert [x.confirmed.candidate for x in front] == [c]
    assert dropped == 1
    assert _front(measured, confirming({a: None, b: None, c: None})) == ((), 3)


@pytest.fixture(scope="module")
def missed():
    return search(NAMED, Model("cnn", 16, (1, 8, 8)), BOARD)


def test_the_nearest_miss_is_the_lowest_peak_and_tells_its_tensors(missed):
    assert missed.front == () and missed.fitting == 0
    miss, model = missed.nearest, Model("cnn", 16, (1, 8, 8))
    plan = planned(miss.confirmed.candidate, model, BOARD)
    assert miss.confirmed.measured.peak_bytes == plan.peak_bytes
    assert miss.ram_missing_bytes >= plan.peak_bytes - BOARD.usable_bytes > 0
    assert miss.peak_operation == plan.ledger.peak.operation.name
    largest = [(t.name, t.owner, t.category, t.aligned_bytes(8)) for t in plan.tensors_at_peak]
    assert [(t.name, t.owner, t.category, t.bytes) for t in miss.tensors] == largest[: len(miss.tensors)]
    assert len(miss.tensors) >= 5
    others = search(replace(NAMED, regimes=(miss.confirmed.candidate.regime,)), model, load("stm32n657"))
    assert min(c.confirmed.measured.peak_bytes for c in others.front) == plan.peak_bytes


@pytest.mark.slow
def test_the_smallest_board_fits_and_no_smaller_one_does(missed):
    found, model = missed.smallest_board, Model("cnn", 16, (1, 8, 8))
    board = load(found.name)
    assert planned(found.confirmed.candidate, model, board).fits
    smaller = sorted({b.usable_bytes: b for b in catalogue().values()}.items())
    (_, next_smaller), *_ = [pair for pair in reversed(smaller) if pair[0] < board.usable_bytes]
    assert not search(NAMED, model, next_smaller).front


def test_flash_that_is_too_small_for_paged_state_is_a_miss_of_its_own():
    small = replace(BOARD, flash_bytes=2048, flash=None)
    result = search(replace(NAMED, regimes=("local-paged",)), MODEL, small)
    assert not result.front
    assert result.nearest.flash_missing_bytes > 0


def test_no_board_at_all():
    huge = Measured(candidate(), 2**40, 1, 0, 0)
    assert smallest_board([huge], MODEL) is None
    assert not huge.may_fit(limits_of(BOARD))


def test_a_space_of_which_nothing_can_be_trained_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        search(Space(("local",), heads=("sim",), batches=(1,), blocks=("2",)), MODEL, BOARD)
