"""Plans for one arena: that they are valid, how high they are, and what is proven about them."""

import random
import time
from dataclasses import replace

import numpy as np
import pytest
from exhaustive import lowest_height
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import fitting
from tiers import quick, shown

import devices
from blockwise import models
from devices.boards.profile import load
from devices.errors import InputError
from devices.memory.arena import Arena, Buffer, buffers_of, pack, peak_of, planner, rules, solver, violations
from devices.memory.arena.items import items_of
from devices.program.ledger import Ledger
from devices.program.regimes import REGIMES

ALIGNMENTS = (1, 4, 8, 64)
WIDTHS = {"mlp": 16, "vgg8b": 8, "vgg11b": 8}  # a few maps per layer; 4 for the rest


def checked(buffers, alignment=8, **options) -> Arena:
    """The plan, after the verifier has looked at it and its height is within what is possible."""
    arena = pack(buffers, alignment, **options)
    places = {name: (0, offset) for name, offset in arena.offsets.items()}
    assert violations(buffers, places, [(0, arena.height)], alignment=alignment) == []
    assert arena.bound == peak_of(tuple(buffers), alignment)
    solid = [b for b in buffers if not b.empty]
    assert arena.height == max((arena.offsets[b.name] + b.size for b in solid), default=0)
    whole = sum(-(-b.size // alignment) * alignment for b in solid)
    assert arena.bound <= arena.proven_bound <= arena.height <= whole
    return arena


def instance(rng: random.Random, most: int = 9) -> list[Buffer]:
    """A few buffers; equal lifetimes, no bytes, one byte and no time among them."""
    times, sizes = rng.choice((3, 8, 30)), rng.choice((2, 9, 1000))
    spans = [sorted((rng.randrange(times), rng.randrange(times))) for _ in range(rng.randint(1, 4))]
    buffers = []
    for index in range(rng.randint(1, most)):
        lower, upper = rng.choice(spans) if rng.random() < 0.4 else sorted(rng.choices(range(times), k=2))
        buffers.append(Buffer(f"b{index}", rng.choice((0, 1, rng.randint(0, sizes))), lower, upper))
    return buffers


@pytest.mark.long
@settings(max_examples=10_000)
@given(st.integers(0, 2**64 - 1))
def test_each_of_ten_thousand_random_plans_is_valid(seed):
    rng = random.Random(seed)
    checked(instance(rng), rng.choice(ALIGNMENTS))


lifetimes = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)
spans_and_sizes = st.lists(st.tuples(st.integers(0, 40), lifetimes), max_size=8)


@pytest.mark.slow
@settings(max_examples=400)
@given(spans_and_sizes, st.sampled_from(ALIGNMENTS))
def test_any_plan_is_valid_and_between_bound_and_sum(rows, alignment):
    buffers = [Buffer(str(i), size, low, high) for i, (size, (low, high)) in enumerate(rows)]
    arena = checked(buffers, alignment)
    assert arena.gap == pytest.approx(arena.height / arena.bound - 1 if arena.bound else 0)


few = st.lists(st.tuples(st.integers(1, 30), lifetimes), min_size=1, max_size=5)


@pytest.mark.slow
@settings(max_examples=400)
@given(few, st.sampled_from(ALIGNMENTS))
def test_small_plans_are_as_low_as_an_exhaustive_search_finds(rows, alignment):
    buffers = [Buffer(str(i), size, low, high) for i, (size, (low, high)) in enumerate(rows)]
    arena = checked(buffers, alignment)
    assert arena.height == arena.proven_bound == lowest_height(buffers, alignment)


def test_six_buffers_are_as_low_as_an_exhaustive_search_finds_and_proven_without_the_solver(monkeypatch):
    monkeypatch.setattr(solver, "available", lambda: False)
    rng = random.Random(1)
    for _ in range(100):
        buffers, alignment = instance(rng, most=6), rng.choice(ALIGNMENTS)
        arena = checked(buffers, alignment)
        assert arena.height == arena.proven_bound == lowest_height(buffers, alignment)


@settings(max_examples=300)
@given(few, st.sampled_from(ALIGNMENTS), st.integers(1, 150))
def test_a_capacity_is_met_or_proven_to_be_too_small(rows, alignment, capacity):
    buffers = [Buffer(str(i), size, low, high) for i, (size, (low, high)) in enumerate(rows)]
    arena = checked(buffers, alignment, capacity=capacity)
    lowest = lowest_height(buffers, alignment)
    assert (arena.height <= capacity) == (lowest <= capacity)
    assert arena.proven_bound <= lowest
    assert arena.proven_bound > capacity or lowest <= capacity


@pytest.mark.slow
def test_where_no_plan_needs_only_the_live_bytes_the_search_proves_it(monkeypatch):
    monkeypatch.setattr(solver, "available", lambda: False)
    rows = ((0, 1, 2), (0, 2, 2), (1, 3, 1), (1, 4, 1), (2, 3, 1), (2, 4, 1), (3, 5, 2), (4, 5, 2))
    for alignment in (1, 8):
        ring = [Buffer(str(i), alignment * s, low, high) for i, (low, high, s) in enumerate(rows)]
        arena = checked(ring, alignment)
        assert (arena.bound, arena.proven_bound, arena.height) == (
            4 * alignment,
            5 * alignment,
            5 * alignment,
        )
    assert lowest_height(ring, 8) == 40


def perfect(count: int, seed: int) -> list[Buffer]:
    """A rectangle cut in two again and again, along time or space, at random."""
    rng = random.Random(seed)
    pieces = [(0, 4 * count, 0, 4096)]
    while len(pieces) < count:
        area = {i: (b - a) * (d - c) for i, (a, b, c, d) in enumerate(pieces)}
        a, b, c, d = pieces.pop(max(rng.sample(sorted(area), min(4, len(area))), key=area.__getitem__))
        if b - a > 1 and (rng.random() < 0.5 or d - c == 1):
            at = rng.randint(a + 1, b - 1)
            pieces += [(a, at, c, d), (at, b, c, d)]
        else:
            at = rng.randint(c + 1, d - 1)
            pieces += [(a, b, c, at), (a, b, at, d)]
    rng.shuffle(pieces)
    return [Buffer(str(i), d - c, a, b) for i, (a, b, c, d) in enumerate(pieces)]


@pytest.mark.parametrize("seed", quick(range(3), 2))
def test_a_rectangle_cut_into_many_pieces_is_put_together_again(seed):
    arena = checked(perfect(1000, seed), 1, time_limit=20)
    assert arena.bound == 4096
    assert arena.gap <= 0.03


def test_a_search_that_is_told_its_capacity_ends_when_it_is_met(monkeypatch):
    rng = random.Random(4)
    buffers = [Buffer(str(i), rng.randint(1, 99), t, t + rng.randint(1, 30)) for i, t in enumerate(range(80))]
    lowest, seen = pack(buffers, 1), []
    plans = rules.plans
    monkeypatch.setattr(rules, "plans", lambda *a: (seen.append(p[2]) or p for p in plans(*a)))
    monkeypatch.setattr(planner, "improve", None)  # not called
    arena = checked(buffers, 1, capacity=2 * lowest.height)
    assert len(seen) == 1 and arena.height == seen[0] <= 2 * lowest.height


@pytest.mark.skipif(not solver.available(), reason="needs ortools")
def test_the_solver_knows_what_an_exhaustive_search_finds():
    rng = random.Random(5)
    for _ in range(40):
        buffers, alignment = [b for b in instance(rng, most=5) if not b.empty], rng.choice(ALIGNMENTS)
        if not buffers:
            continue
        items = items_of(buffers, alignment)
        stacked = np.cumsum(items.padded) - items.padded
        lowest, low = lowest_height(buffers, alignment), items.peak
        if items.height(stacked) == low:
            continue
        answer = solver.solve(items, low, stacked, seconds=5, workers=1, seed=0)
        assert answer.bound == lowest
        if answer.offsets is None:
            assert lowest == items.height(stacked)
        else:
            places = {b.name: (0, o) for b, o in zip(buffers, answer.offsets.tolist(), strict=True)}
            assert violations(buffers, places, [(0, lowest)], alignment=alignment) == []


def test_nested_lifetimes_are_stacked_perfectly_whatever_their_sizes():
    buffers = [Buffer(f"b{i}", 100 - 7 * i, i, 30 - i) for i in range(12)]
    arena = checked(buffers)
    assert (arena.gap, arena.method) == (0, "stacked")


def test_buffers_with_the_same_lifetime_never_share_an_offset():
    arena = checked([Buffer(name, 8, 0, 1) for name in "abc"])
    assert sorted(arena.offsets.values()) == [0, 8, 16]


def test_offsets_are_multiples_of_the_alignment_and_nothing_is_counted_behind_the_last_buffer():
    arena = checked([Buffer("only", 5, 0, 3)], 8)
    assert (arena.height, arena.bound, arena.gap) == (5, 5, 0)
    arena = checked([Buffer("a", 1, 0, 1), Buffer("b", 9, 0, 1)], 8)
    assert (arena.height, arena.bound, arena.offsets) == (17, 17, {"a": 16, "b": 0})


def test_the_padding_of_what_outlives_the_rest_is_saved_on_top_of_it():
    rest = [Buffer("left", 15, 0, 2), Buffer("right", 14, 2, 4)]
    arena = checked([Buffer("long", 1, 0, 4), Buffer("longer", 3, 0, 4), *rest], 8)
    assert (arena.height, arena.bound, arena.offsets["long"]) == (25, 25, 24)
    assert checked([Buffer("long", 7, 0, 4), *rest], 8).height == 23


def test_lifetimes_may_be_nested_a_thousandfold():
    buffers = [Buffer(str(i), 1 + i % 9, i, 5000 - i) for i in range(1500)]
    assert checked(buffers).proven


def test_what_touches_in_time_only_may_share_bytes():
    arena = checked([Buffer("a", 8, 0, 3), Buffer("b", 8, 3, 6)])
    assert arena.height == 8


def test_nothing_takes_no_bytes():
    assert checked([]).height == 0
    arena = checked([Buffer("no bytes", 0, 0, 9), Buffer("no time", 9, 4, 4), Buffer("b", 4, 2, 5)], 4)
    assert (arena.height, arena.gap, arena.proven) == (4, 0, True)


def test_the_same_input_gives_the_same_plan():
    rng = random.Random(3)
    buffers = [Buffer(str(i), rng.randint(1, 99), t, t + rng.randint(1, 30)) for i, t in enumerate(range(80))]
    assert pack(buffers).offsets == pack(buffers).offsets


def test_bad_buffers_are_told_in_one_line():
    for build in (
        lambda: Buffer("b", -1, 0, 1),
        lambda: Buffer("b", 1, 2, 1),
        lambda: Buffer("b", 2**60, 0, 1),
        lambda: pack([Buffer("b", 1, 0, 1), Buffer("b", 1, 4, 5)]),
        lambda: pack([], 0),
    ):
        with pytest.raises(InputError) as error:
            build()
        assert "\n" not in str(error.value)


@pytest.fixture(
    scope="module",
    params=shown(models.CATALOGUE, "resnet20", "resnet8", "cnn", "cnn1d", "mlp", "mcunet-5fps", "vgg8b"),
)
def plans(request):
    """Every regime of a narrow model."""
    model = models.build(
        request.param, fitting(request.param, (3, 32, 32)), width=WIDTHS.get(request.param, 4)
    )
    return [
        devices.plan(model, "stm32", regime=regime, batch_size=4, micro_batch=2, blocks="stages", head="gap")
        for regime in REGIMES
    ]


@pytest.mark.slow
def test_every_model_and_regime_needs_no_more_than_its_peak(plans):
    for plan in plans:
        buffers = buffers_of(plan.schedule)
        arena = checked(buffers, time_limit=10)
        assert arena.bound == plan.peak_bytes == Ledger(plan.schedule).peak.live_bytes
        assert arena.proven, plan.regime
        resident = sum(t.aligned_bytes(8) for t in plan.schedule.tensors.values() if t.resident)
        assert resident < arena.height
        assert arena.offsets.keys() == plan.schedule.tensors.keys()


@pytest.mark.parametrize("alignment", [1, 4, 16])
def test_the_bound_of_an_arena_is_the_peak_whatever_the_board_aligns_to(alignment):
    board = replace(load("stm32"), alignment_bytes=alignment)
    chain = models.build("resnet20", (1, 8, 8), 10, 8)
    plan = devices.plan(chain, board, regime="local-resident", batch_size=1)
    assert plan.arena.bound == plan.peak_bytes
    assert all(offset % alignment == 0 for offset in plan.arena.offsets.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "regime", "most"), [("resnet20", "local-resident", 0.4), ("resnet56", "local", 9)]
)
def test_a_plan_takes_little_time(name, regime, most):
    # Beside making the schedule in the same run, thrice the usual: a processor may be slow, or shared.
    chain = models.build(name)
    seconds = {"schedule": [], "arena": []}
    for _ in range(3):
        started = time.process_time()
        plan = devices.plan(chain, "stm32", regime=regime, blocks="residual", head="lookahead:16")
        buffers = buffers_of(plan.schedule)
        planned = time.process_time()
        assert pack(buffers).height == plan.peak_bytes
        seconds["schedule"].append(planned - started)
        seconds["arena"].append(time.process_time() - planned)
    assert len(buffers) > 1000
    assert min(seconds["arena"]) < most * min(seconds["schedule"])
