"""Pooling, ReLU and sums of two tensors, bit for bit as in int64."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blockwise.integer import (
    INT8,
    UINT4,
    Accumulator,
    IntTensor,
    Xorshift32,
    pointwise,
    pool,
    reference,
)
from blockwise.integer.layers import IntegerAvgPool
from blockwise.integer.rounding import requantize
from devices.errors import InputError


def random_map(shape: tuple[int, ...], seed: int, levels: int = 255) -> IntTensor:
    """Few levels make many ties."""
    values = Xorshift32(seed).uniform(torch.Size(shape).numel(), levels) - levels // 2
    return IntTensor(values.to(torch.int8).view(shape), -5)


shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 9), st.integers(2, 9))
windows = st.lists(st.integers(1, 5), min_size=1, max_size=2).map(tuple)


@settings(max_examples=40)
@given(
    shape=shapes, seed=st.integers(0, 999), levels=st.sampled_from([1, 2, 3, 255]),
    sides=st.one_of(st.just((2, 2)), windows),
)  # fmt: skip
def test_max_pool_takes_the_first_of_the_largest(shape, seed, levels, sides):
    shape = shape[: 2 + len(sides)]
    x = random_map(shape, seed, levels)
    found, which = pool.max_pool(x, sides)
    largest, place = reference.max_pool(x.mantissa, sides)
    assert found.mantissa.tolist() == largest.tolist() and which.tolist() == place.tolist()
    assert (found.exponent, which.dtype) == (x.exponent, torch.uint8)
    error = random_map(tuple(found.shape), seed + 1)
    back = pool.max_pool_gradient(error, which, x.shape, sides)
    expected = reference.max_pool_gradient(error.mantissa, place, x.shape, sides)
    assert back.mantissa.tolist() == expected.tolist()


def test_a_tie_of_a_window_goes_to_its_first_value():
    x = IntTensor(
        torch.tensor([[[[3, 3], [3, 3]]], [[[1, 5], [5, 2]]], [[[-9, -9], [-9, -8]]]]).to(torch.int8), 0
    )
    assert pool.max_pool(x)[1].flatten().tolist() == [0, 1, 3]


@settings(max_examples=40)
@given(shape=shapes, seed=st.integers(0, 999), sides=windows)
def test_avg_pool_is_a_sum_and_a_rounded_quotient(shape, seed, sides):
    shape = shape[: 2 + len(sides)]
    x = random_map(shape, seed)
    found = pool.avg_pool(x, sides)
    assert found.mantissa.tolist() == reference.avg_pool(x.mantissa, sides).tolist()
    error = random_map(tuple(found.shape), seed + 1)
    back = pool.avg_pool_gradient(error, sides, x.shape)
    assert back.mantissa.tolist() == reference.avg_pool_gradient(error.mantissa, sides, x.shape).tolist()
    assert error.exponent - back.exponent == math.floor(math.log2(math.prod(sides)))


def test_avg_pool_rounds_halves_away_from_zero_and_reaches_the_ends():
    windows = [[[1, 1], [0, 0]], [[-1, -1], [0, 0]], [[127] * 2] * 2, [[-127] * 2] * 2, [[1, 0], [0, 0]]]
    x = IntTensor(torch.tensor(windows, dtype=torch.int8).view(5, 1, 2, 2), 0)
    assert pool.avg_pool(x, (2, 2)).mantissa.flatten().tolist() == [1, -1, 127, -127, 0]


def test_a_mean_of_another_number_than_a_power_of_two_is_rounded_to_the_nearest():
    windows = [[1, 0, 0], [1, 1, 0], [-1, -1, 0], [-1, 0, 0], [127, 127, 127], [-127, -127, -126]]
    x = IntTensor(torch.tensor(windows, dtype=torch.int8).view(6, 1, 3), 0)
    assert pool.avg_pool(x, (3,)).mantissa.flatten().tolist() == [0, 1, -1, 0, 127, -127]
    six = IntTensor(torch.tensor([[3, 0, 0, 0, 0, 0], [-3, 0, 0, 0, 0, 0]], dtype=torch.int8)[:, None], 0)
    assert pool.avg_pool(six, (6,)).mantissa.flatten().tolist() == [1, -1]  # halves away from zero
    nibbles = IntTensor(torch.tensor([[[1, 0, 0]]], dtype=torch.int8), 0, UINT4)
    wide = pool.wide_avg_pool(nibbles, (3,))  # 1/3 in units of 1/8
    assert (wide.mantissa.item(), wide.exponent) == (3, -3)


def test_nitro_has_means_over_powers_of_two_alone():
    with pytest.raises(InputError, match="average pool: got a window of 3x3, wanted a power of two"):
        IntegerAvgPool((3, 3), by_shifts=True)(random_map((1, 1, 8, 8), 0))
    assert IntegerAvgPool((3, 3))(random_map((1, 1, 8, 8), 0)).shape == (1, 1, 2, 2)


def test_relu_keeps_what_is_positive_and_its_mask_lets_errors_through():
    x = Accumulator(torch.tensor([-127, -1, 0, 1, 127]).int(), 2)
    out, mask = pointwise.relu(x, INT8)
    assert out.mantissa.tolist() == [0, 0, 0, 1, 127] and out.exponent == 2
    assert mask.tolist() == [False, False, False, True, True]
    error = IntTensor(torch.tensor([5, -6, 7, -8, 9], dtype=torch.int8), -1)
    back = pointwise.relu_gradient(error, mask)
    assert back.mantissa.tolist() == [0, 0, 0, -8, 9] and back.mantissa.dtype == torch.int8


@settings(max_examples=100)
@given(
    values=st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=20), form=st.sampled_from([INT8, UINT4])
)
@example(values=[-(2**31) + 1, 2**31 - 1], form=INT8)
@example(values=[-(2**31) + 1, 100], form=INT8)  # what is negative does not decide the shift
@example(values=[-5, -1], form=UINT4)
def test_relu_with_requantization_is_one_after_the_other(values, form):
    x = torch.tensor(values, dtype=torch.int32)
    out, mask = pointwise.relu(Accumulator(x, 3), form)
    expected = requantize(Accumulator(x.clamp_min(0), 3), form)
    assert torch.equal(out.mantissa, expected.mantissa) and out.exponent == expected.exponent
    assert torch.equal(mask, x > 0)


bytes_ = st.integers(-127, 127)


@settings(max_examples=100)
@given(
    pairs=st.lists(st.tuples(bytes_, bytes_), max_size=20), ea=st.integers(-40, 40), eb=st.integers(-40, 40)
)
@example(pairs=[(127, 127), (-127, -127), (127, -127), (64, 64)], ea=0, eb=23)
@example(pairs=[(127, 127), (-127, -127), (1, -1)], ea=24, eb=0)
@example(pairs=[(127, 127), (64, 64), (-64, -64), (63, 63)], ea=-30, eb=0)
@example(pairs=[(127, 127)], ea=3, eb=3)
@example(pairs=[(127, -127)], ea=40, eb=-40)
def test_sums_are_at_the_smaller_exponent(pairs, ea, eb):
    a, b = [p for p, _ in pairs], [q for _, q in pairs]
    found = pointwise.add(
        IntTensor(torch.tensor(a, dtype=torch.int8), ea), IntTensor(torch.tensor(b, dtype=torch.int8), eb)
    )
    expected, exponent = reference.add(a, ea, b, eb, span=23)
    assert (found.mantissa.tolist(), found.exponent) == (expected, exponent)
    assert all(abs(v) < 2**31 for v in expected)


def test_exponents_far_apart_leave_the_larger():
    big, small = (IntTensor(torch.tensor([100], dtype=torch.int8), e, UINT4) for e in (500, -500))
    assert pointwise.add(small, big).mantissa.item() == 100 << 23
