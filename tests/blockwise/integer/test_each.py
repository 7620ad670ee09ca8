"""Requantization of each image by its own largest, held against batches of one."""

import pytest
import torch

from blockwise.integer.each import bit_lengths, requantize_each
from blockwise.integer.rounding import half_up, nearest, requantize
from blockwise.integer.tensor import INT4, INT8, UINT4, Accumulator

EDGES = [0, 1, -1, 2**31 - 1, -(2**31 - 1), 127, 128, -128, 255, 256, 2**20, -(2**20) - 1, 15, 16, -15, -16]
FORMATS = {"int8": INT8, "int4": INT4, "uint4": UINT4, "int8 behind a ReLU": INT8.behind_relu}


def sums() -> torch.Tensor:
    """Images whose largest lie bits apart, with ties of every shift, and the ends of the range."""
    generator = torch.Generator().manual_seed(5)
    bits = torch.arange(31).view(-1, 1, 1, 1)
    random = torch.randint(-(2**31) + 1, 2**31, (31, 4, 3, 3), generator=generator) >> 30 - bits
    ties = (torch.arange(36).view(1, 4, 3, 3) - 18) << bits.clamp_max(24) + 1 >> 1
    edges = torch.tensor(EDGES).view(-1, 1, 1, 1).expand(-1, 4, 3, 3)
    return torch.cat([random, ties, edges]).clamp(-(2**31) + 1, 2**31 - 1).to(torch.int32)


@pytest.mark.parametrize("name", FORMATS)
def test_each_image_is_shifted_and_rounded_as_if_it_were_alone(name):
    to, values = FORMATS[name], sums()
    found = requantize_each(Accumulator(values, -3), to).check_range()
    alone = [requantize(Accumulator(one[None], -3), to, nearest if to.low else half_up) for one in values]
    assert torch.equal(found.mantissa, torch.cat([one.mantissa for one in alone]))
    assert isinstance(found.exponent, torch.Tensor)
    assert found.exponent.tolist() == [one.exponent for one in alone]
    whole = requantize(Accumulator(values, -3), to, nearest if to.low else half_up).mantissa
    assert not torch.equal(found.mantissa, whole)


def test_bit_lengths_are_those_of_pythons_integers():
    magnitudes = [0, *(m for k in range(31) for m in ((1 << k) - 1, 1 << k)), 2**31 - 1]
    found = bit_lengths(torch.tensor(magnitudes, dtype=torch.int32))
    assert found.tolist() == [m.bit_length() for m in magnitudes]


def test_a_batch_without_images_stays_empty():
    empty = Accumulator(torch.zeros((0, 3), dtype=torch.int32), 0)
    assert requantize_each(empty, INT8).mantissa.shape == (0, 3)
