"""Vectorised xorshift32 against the scalar loop a board runs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise.integer import Xorshift32
from blockwise.integer.xorshift import GOLDEN, scramble, step

MASK = 2**32 - 1


def loop(state: int, count: int) -> list[int]:
    """As in C: three shifts on a uint32_t."""
    out = []
    for _ in range(count):
        state ^= (state << 13) & MASK
        state ^= state >> 17
        state ^= (state << 5) & MASK
        out.append(state)
    return out


def started_at(state: int) -> Xorshift32:
    return Xorshift32.at(state)


def unsigned(words: torch.Tensor) -> list[int]:
    return [word & MASK for word in words.tolist()]


def test_steps_made_by_hand():
    # 1 -> 1 ^ 2^13 = 8193; >> 17 gives 0; ^ 8193 * 32 = 262176: bits 18, 13, 5, 0
    assert step(1) == 2**18 + 2**13 + 2**5 + 1 == 270369
    # 2^31: << 13 gives 0; ^ 2^14; (2^31 + 2^14) << 5 = 2^19 in 32 bits
    assert step(2**31) == 2**31 + 2**19 + 2**14
    # all ones: << 13 clears the top 19, >> 17 of the lower 13 is 0, << 5 of them
    assert step(MASK) == 0x1FFF ^ (0x1FFF << 5)


def test_the_sequence_of_marsaglias_example():
    # Marsaglia 2003, section 4: y = 2463534242 is the state that the paper starts from.
    assert loop(2463534242, 3) == [723471715, 2497366906, 2064144800]
    assert unsigned(started_at(2463534242).draw(3)) == [723471715, 2497366906, 2064144800]


@settings(max_examples=60)
@given(state=st.integers(1, MASK), counts=st.lists(st.integers(0, 700), max_size=4))
def test_tensors_of_any_size_continue_the_scalar_sequence(state, counts):
    rng = started_at(state)
    drawn = [word for count in counts for word in unsigned(rng.draw(count))]
    expected = loop(state, sum(counts))
    assert drawn == expected
    assert rng.state == (expected[-1] if expected else state)


@pytest.mark.parametrize("state", [1, 2**31 - 1, 2**31, MASK])
def test_a_generator_goes_on_from_the_32_bits_in_which_it_was_kept(state):
    rng = started_at(state)
    assert -(2**31) <= rng.word < 2**31 and Xorshift32.at(rng.word).state == rng.state == state
    rng.draw(3)
    assert unsigned(Xorshift32.at(rng.word).draw(5)) == loop(state, 8)[3:]


def test_a_large_tensor_is_the_scalar_sequence():
    assert unsigned(Xorshift32(7, stream=3).draw(100_000)) == loop(scramble(7, 3), 100_000)


@pytest.mark.parametrize("width", [1, 4, 16, 31, 32])
def test_bits_are_the_top_ones_in_order(width):
    expected = [word >> (32 - width) for word in loop(scramble(5), 200)]
    assert Xorshift32(5).bits(200, width).tolist() == expected


@pytest.mark.parametrize("levels", [1, 2, 15, 240, 255, 1 << 15])
def test_uniform_numbers_are_multiplied_top_halves(levels):
    found = Xorshift32(9).uniform(3000, levels).tolist()
    assert found == [(word >> 16) * levels >> 16 for word in loop(scramble(9), 3000)]
    assert set(found) <= set(range(levels)) and (levels > 255 or set(found) == set(range(levels)))


def test_more_levels_than_fit_31_bits_are_refused():
    with pytest.raises(ValueError, match="32769"):
        Xorshift32(0).uniform(1, (1 << 15) + 1)


def test_seeds_and_streams_are_scrambled_and_never_zero():
    assert scramble(0) == GOLDEN  # the mixer maps only 0 to 0, and no other seed there
    assert scramble(2**32 - GOLDEN, stream=1) == GOLDEN
    # seed 1: 0x85EBCA6B, ^ >> 13 gives 0x85EFE535, x 0xC2B2AE35 gives 0x514E79F9, ^ >> 16
    assert scramble(1) == 0x514E28B7
    states = [scramble(seed, stream) for seed in range(50) for stream in range(20)]
    assert len(set(states)) == len(states) and 0 not in states
    assert scramble(2**32 + 3) == scramble(3)
