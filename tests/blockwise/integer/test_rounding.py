"""Roundings and requantization against definitions in plain integers, element by element."""

from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blockwise.integer import INT4, INT8, UINT4, Accumulator, Xorshift32
from blockwise.integer.rounding import (
    bit_length,
    largest_magnitude,
    nearest,
    pseudo_stochastic,
    requantize,
    stochastic,
)
from blockwise.integer.xorshift import scramble, step

LARGEST = 2**31 - 1
POWERS = [2**k + d for k in range(31) for d in (-1, 0, 1)]
EXTREMES = sorted({v for m in [*POWERS, LARGEST, LARGEST - 1] for v in (m, -m)})


def int32(values: list[int]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64).int()


def signed(x: int, magnitude: int) -> int:
    return -magnitude if x < 0 else magnitude


def nearest_by_hand(x: int, s: int) -> int:
    """round(x / 2^s), halves away from zero."""
    return signed(x, int(Fraction(abs(x), 2**s) + Fraction(1, 2)))


def pseudo_by_hand(x: int, s: int) -> int:
    q, f, h = abs(x) // 2**s, abs(x) % 2**s, s // 2
    p, r = f // 2**h, f % 2**h
    return signed(x, q + (p > (2 * r if s % 2 else r)))


def stochastic_by_hand(values: list[int], s: int, seed: int) -> list[int]:
    state, out = scramble(seed), []
    for x in values:
        state = step(state)
        out.append(signed(x, abs(x) // 2**s + (state >> (32 - s) < abs(x) % 2**s)))
    return out


values = st.lists(st.integers(-LARGEST, LARGEST) | st.integers(-300, 300), max_size=40)
shifts = st.integers(1, 32)


@settings(max_examples=150)
@given(xs=values, s=shifts)
@example(xs=EXTREMES, s=1)
@example(xs=EXTREMES, s=2)
@example(xs=EXTREMES, s=7)
@example(xs=EXTREMES, s=24)
@example(xs=EXTREMES, s=31)
@example(xs=EXTREMES, s=32)
def test_all_three_roundings_are_their_definitions(xs, s):
    x = int32(xs)
    assert nearest(x, s).tolist() == [nearest_by_hand(v, s) for v in xs]
    assert pseudo_stochastic(x, s).tolist() == [pseudo_by_hand(v, s) for v in xs]
    assert stochastic(Xorshift32(3))(x, s).tolist() == stochastic_by_hand(xs, s, 3)
    assert x.tolist() == xs  # none works in place


def test_ties_go_away_from_zero():
    assert nearest(int32([1, 3, 5, -1, -3, -5]), 1).tolist() == [1, 2, 3, -1, -2, -3]
    assert nearest(int32([8, 7, 24, -8, -7, -24]), 4).tolist() == [1, 0, 2, -1, 0, -2]


def test_random_numbers_are_spent_in_row_major_order_one_for_each_element():
    x, rng = int32([5] * 24).view(2, 3, 4), Xorshift32(11)
    found = stochastic(rng)(x, 3)
    assert found.flatten().tolist() == stochastic_by_hand([5] * 24, 3, 11)
    expected = scramble(11)
    for _ in range(24):
        expected = step(expected)
    assert rng.state == expected
    columns = x.transpose(0, 2)  # its own row-major order counts, not that of its memory
    assert torch.equal(stochastic(Xorshift32(11))(columns, 3).flatten(), found.flatten())


def mean_error(rounded: torch.Tensor, x: torch.Tensor, s: int) -> Fraction:
    """Of the result, in units of its last place."""
    return Fraction(int((rounded.long() * 2**s - x.long()).sum()), x.numel() * 2**s)


def test_pseudo_stochastic_rounding_has_the_known_bias():
    # Every dropped part once: at s = 4 up for 6 of 16, but their mean is 7.5 / 16.
    x = int32(list(range(16)))
    assert mean_error(pseudo_stochastic(x, 4), x, 4) == Fraction(-3, 32)  # 0.094
    assert mean_error(pseudo_stochastic(-x, 4), -x, 4) == Fraction(3, 32)
    x = torch.arange(2**12, dtype=torch.int32)
    assert abs(mean_error(pseudo_stochastic(x, 12), x, 12)) <= Fraction(8, 1000)


def test_stochastic_rounding_is_unbiased():
    x = torch.arange(16, dtype=torch.int32).repeat(4000)
    assert abs(mean_error(stochastic(Xorshift32(1))(x, 4), x, 4)) < Fraction(1, 100)


@pytest.mark.parametrize("k", range(31))
def test_bit_length_is_right_at_powers_of_two(k):
    assert (bit_length(2**k - 1), bit_length(2**k), bit_length(2**k + 1)) == (k, k + 1, max(k, 1) + 1)


def test_the_largest_magnitude_of_one_sided_and_empty_tensors():
    assert largest_magnitude(int32([-9, 3])) == 9
    assert largest_magnitude(int32([-9, 30])) == 30
    assert largest_magnitude(int32([-LARGEST])) == LARGEST
    assert largest_magnitude(int32([])) == 0


def requantize_by_hand(xs: list[int], low: int, high: int) -> tuple[list[int], int]:
    xs = [max(x, 0) for x in xs] if low == 0 else xs
    largest = max((abs(x) for x in xs), default=0)
    s = 0
    while largest >> s > high:
        s += 1
    rounded = [nearest_by_hand(x, s) if s else x for x in xs]
    return [min(max(x, low), high) for x in rounded], s


@pytest.mark.parametrize("form", [INT8, INT4, UINT4])
@settings(max_examples=60)
@given(xs=values)
@example(xs=[LARGEST, -LARGEST, 0, 1])
@example(xs=[LARGEST])
@example(xs=[-LARGEST])
@example(xs=[127, -127, 7, -7, 15])
@example(xs=[128])
@example(xs=[255, -255, 254, 2])
@example(xs=[2**20, 2**20 - 1, -(2**20), 2**13, -(2**12), 2**12 - 1])
@example(xs=[0, 0])
def test_requantization_keeps_as_many_bits_as_fit(form, xs):
    found = requantize(Accumulator(int32(xs), -11), form)
    mantissa, shift = requantize_by_hand(xs, form.low, form.high)
    assert found.mantissa.tolist() == mantissa
    assert (found.exponent, found.format) == (-11 + shift, form)
    found.check_range()


def test_powers_of_two_do_not_wrap():
    # ceil(log2 128) = 7 would leave 128 unshifted, which is -128 in a byte.
    found = requantize(Accumulator(int32([128, -128]), 0), INT8)
    assert (found.mantissa.tolist(), found.exponent) == ([64, -64], 1)


def test_what_rounds_beyond_the_range_is_clipped():
    found = requantize(Accumulator(int32([255, -255]), 0), INT8)  # 127.5 away from zero is 128
    assert (found.mantissa.tolist(), found.exponent) == ([127, -127], 1)


def test_without_a_shift_no_random_number_is_drawn():
    rng = Xorshift32(1)
    before = rng.state
    requantize(Accumulator(int32([127, -5]), 0), INT8, stochastic(rng))
    assert rng.state == before
    requantize(Accumulator(int32([128, -5]), 0), INT8, stochastic(rng))
    assert rng.state == step(step(before))
