"""First weights and images."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blockwise.integer import INT4, INT8, Xorshift32, images
from blockwise.integer.init import xavier, xavier_exponent, xavier_residue
from blockwise.integer.xorshift import scramble, step


@pytest.mark.parametrize(("form", "levels"), [(INT8, 255), (INT4, 15)])
def test_weights_are_one_random_number_each_in_row_major_order(form, levels):
    rng, state = Xorshift32(3), scramble(3)
    found = xavier((4, 3, 3, 3), rng, form)
    expected = []
    for _ in range(108):
        state = step(state)
        expected.append(((state >> 16) * levels >> 16) - levels // 2)
    assert found.mantissa.flatten().tolist() == expected and rng.state == state
    assert found.check_range().format == form


def test_weights_use_the_whole_range_evenly():
    mantissa = xavier((200, 255), Xorshift32(1)).mantissa.long()
    counts = torch.bincount(mantissa.flatten() + 127, minlength=255)
    assert (
        counts.min() > 140 and counts.max() < 270 and len(counts) == 255
    )  # 200 each, by chance 14 more or less
    states = xavier_residue((100, 240), Xorshift32(1)).states.check_range()
    assert torch.bincount(states.mantissa.flatten().long() + 7).min() > 1400  # 1600 each


@given(
    shape=st.tuples(*[st.integers(1, 600)] * 2)
    | st.tuples(*[st.integers(1, 600)] * 2, *[st.integers(1, 7)] * 2)
)
def test_the_exponent_is_that_of_the_bound_rounded_up(shape):
    square = Fraction(6, (shape[0] + shape[1]) * math.prod(shape[2:]))  # of the bound
    for form, bits in ((INT8, 7), (INT4, 3)):
        c = xavier_exponent(shape, form) + bits
        assert Fraction(4) ** (c - 1) < square <= Fraction(4) ** c


def test_exponents_by_hand():
    assert xavier_exponent((3, 3), INT8) == -7  # bound exactly 1
    assert xavier_exponent((12, 12), INT8) == -8  # exactly 1/2
    assert xavier_exponent((13, 12), INT8) == -8  # a little less
    assert xavier_exponent((1, 1), INT8) == -6  # sqrt 3
    assert xavier_exponent((128, 128, 3, 3), INT8) == -11  # 0.051 of at most 2^-4
    assert xavier_exponent((128, 128, 3, 3), INT4) == -7


def test_pixels_lose_their_offset_and_keep_their_bits():
    pixels = torch.tensor([0, 1, 2, 127, 128, 255], dtype=torch.uint8).view(1, 1, 2, 3)
    found = images.from_pixels(pixels)
    assert found.mantissa.flatten().tolist() == [-127, -127, -126, -1, 0, 127] and found.exponent == -7


def test_each_channel_may_have_its_offset():
    pixels = torch.full((2, 3, 1, 1), 255, dtype=torch.uint8)
    found = images.from_pixels(pixels, (100, 128, 255)).check_range()
    assert found.mantissa.flatten().tolist() == [127, 127, 0] * 2


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 5), (2, 3, 5, 1)])
def test_offsets_are_those_of_channels_at_every_rank(shape):
    pixels = torch.full(shape, 120, dtype=torch.uint8)
    found = images.from_pixels(pixels, (100, 120, 140))
    assert found.mantissa.shape == shape
    for channel, expected in enumerate((20, 0, -20)):
        assert bool((found.mantissa[:, channel] == expected).all())


def test_images_that_are_not_bytes_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        images.from_pixels(torch.zeros(1, 1, 2, 2, dtype=torch.int32))
