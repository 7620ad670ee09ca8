"""Directions are those that docs/integer-arithmetic.md defines, number by number."""

import pytest
import torch

from blockwise.integer.directions import generator, signs, whole_numbers

WORD = 1 << 32


def first_state(seed: int, stream: int) -> int:
    """As the document has it, one number at a time."""
    h = (seed + stream * 0x9E3779B9) % WORD
    h ^= h >> 16
    h = h * 0x85EBCA6B % WORD
    h ^= h >> 13
    h = h * 0xC2B2AE35 % WORD
    h ^= h >> 16
    return h or 0x9E3779B9


def outputs(seed: int, tensor: int, direction: int, count: int) -> list[int]:
    state, found = first_state(first_state(seed, 65_536 + tensor), direction), []
    for _ in range(count):
        state ^= state << 13 & WORD - 1
        state ^= state >> 17
        state ^= state << 5 & WORD - 1
        found.append(state)
    return found


@pytest.mark.parametrize(("seed", "tensor", "direction"), [(0, 0, 0), (7, 3, 11), (2**40, 200, 10**6)])
def test_signs_and_whole_numbers_are_those_of_the_document(seed, tensor, direction):
    words = outputs(seed, tensor, direction, 100)
    assert signs(generator(seed, tensor, direction), 100).tolist() == [1 - 2 * (w >> 31) for w in words]
    for largest in (1, 7, 127):
        wanted = [((w >> 16) * (2 * largest + 1) >> 16) - largest for w in words]
        assert whole_numbers(generator(seed, tensor, direction), 100, largest).tolist() == wanted


def test_tensors_and_directions_have_unrelated_signs():
    drawn = torch.stack([signs(generator(1, t, d), 4_096).int() for t in range(3) for d in range(3)])
    products = (drawn[:, None] * drawn).sum(2)
    products.fill_diagonal_(0)
    assert int(products.abs().max()) < 5 * 64  # five deviations of a sum of 4,096 signs
