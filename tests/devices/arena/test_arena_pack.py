"""Plans for one arena: that they are valid, how high they are, and what is proven about them."""

import random
import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import devices
from blockwise import models
from devices.arena import Arena, Buffer, buffers_of, pack, peak_of, solver, violations
from devices.errors import InputError
from devices.ledger import Ledger
from devices.regimes import REGIMES

ALIGNMENTS = (1, 4, 8, 64)
WIDTHS = {"mlp": 16, "vgg8b": 8, "vgg11b": 8}  # a few maps per layer; 4 for the rest


def checked(buffers, alignment=8, **options) -> Arena:
    """The plan, after the verifier has looked at it and its height is within what is possible."""
    arena = pack(buffers, alignment, **options)
    places = {name: (0, offset) for name, offset in arena.offsets.items()}
    assert violations(buffers, places, [(0, arena.height)], alignment=alignment) == []
    assert arena.bound == peak_of(tuple(buffers), alignment)
    whole = sum(-(-b.size // alignment) * alignment for b in buffers if not b.empty)
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


@settings(max_examples=10_000, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_each_of_ten_thousand_random_plans_is_valid(seed):
    rng = random.Random(seed)
    checked(instance(rng), rng.choice(ALIGNMENTS))


lifetimes = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)
spans_and_sizes = st.lists(st.tuples(st.integers(0, 40), lifetimes), max_size=8)


@settings(max_examples=400, deadline=None)
@given(spans_and_sizes, st.sampled_from(ALIGNMENTS))
def test_any_plan_is_valid_and_between_bound_and_sum(rows, alignment):
    buffers = [Buffer(str(i), size, low, high) for i, (size, (low, high)) in enumerate(rows)]
    arena = checked(buffers, alignment)
    assert arena.gap == pytest.approx(arena.height / arena.bound - 1 if arena.bound else 0)


def lowest_height(buffers: list[Buffer]) -> int:
    """The lowest possible height: first fit in every order (pushed down, any plan is one of them)."""
    best = sum(b.size for b in buffers)
    for order in permutations(b for b in buffers if not b.empty):
        placed: list[tuple[int, Buffer]] = []
        for buffer in order:
            ends = [0] + [o + b.size for o, b in placed]
            offset = min(
                end
                for end in ends
                if all(
                    o >= end + buffer.size or o + b.size <= end
                    for o, b in placed
                    if b.lower < buffer.upper and buffer.lower < b.upper
                )
            )
            placed.append((offset, buffer))
        best = min(best, max((o + b.size for o, b in placed), default=0))
    return best


def test_small_plans_are_as_low_as_an_exhaustive_search_finds():
    rng = random.Random(1)
    for _ in range(150):
        buffers = instance(rng, most=6)
        lowest = lowest_height(buffers)
        arena = checked(buffers, 1, time_limit=5, workers=1)
        assert arena.height == lowest
        assert arena.proven


def test_without_the_solver_a_plan_comes_out_but_no_proof(monkeypatch):
    monkeypatch.setattr(solver, "available", lambda: False)
    rng = random.Random(7)
    for _ in range(300):
        buffers = instance(rng, most=7)
        arena = checked(buffers, 1, time_limit=0.01)
        assert arena.proven_bound == arena.bound


def test_nested_lifetimes_are_stacked_perfectly_whatever_their_sizes():
    buffers = [Buffer(f"b{i}", 100 - 7 * i, i, 30 - i) for i in range(12)]
    arena = checked(buffers)
    assert (arena.gap, arena.method) == (0, "stacked")


def test_buffers_with_the_same_lifetime_never_share_an_offset():
    arena = checked([Buffer(name, 8, 0, 1) for name in "abc"])
    assert sorted(arena.offsets.values()) == [0, 8, 16]


def test_sizes_are_rounded_up_to_the_alignment_and_offsets_are_multiples_of_it():
    arena = checked([Buffer("a", 1, 0, 1), Buffer("b", 9, 0, 1)], 8)
    assert (arena.height, arena.bound) == (24, 24)


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


@pytest.fixture(scope="module", params=models.CATALOGUE)
def plans(request):
    """Every regime of a narrow model."""
    model = models.build(request.param, width=WIDTHS.get(request.param, 4))
    return [
        devices.plan(model, "stm32", regime=regime, batch_size=4, micro_batch=2, blocks="stages", head="gap")
        for regime in REGIMES
    ]


def test_every_model_and_regime_needs_no_more_than_its_peak(plans):
    for plan in plans:
        buffers = buffers_of(plan.schedule)
        arena = checked(buffers, time_limit=10)
        assert arena.bound == plan.peak_bytes == Ledger(plan.schedule).peak.live_bytes
        assert arena.proven, plan.regime
        resident = sum(t.aligned_bytes(8) for t in plan.schedule.tensors.values() if t.resident)
        assert resident < arena.height
        assert arena.offsets.keys() == plan.schedule.tensors.keys()


@pytest.mark.parametrize(
    ("name", "regime", "limit"), [("resnet20", "local-resident", 0.15), ("resnet56", "local", 1)]
)
def test_a_plan_takes_little_time(name, regime, limit):
    # CPU time, and thrice what is wanted of the first: other programs slow this one down.
    plan = devices.plan(models.build(name), "stm32", regime=regime, blocks="residual", head="lookahead:16")
    buffers, seconds = buffers_of(plan.schedule), []
    assert len(buffers) > 1000
    for _ in range(3):
        started = time.process_time()
        checked_height = pack(buffers).height
        seconds.append(time.process_time() - started)
        assert checked_height == plan.peak_bytes
    assert min(seconds) < limit
