"""The worked examples of docs/integer-arithmetic.md."""

import torch

from blockwise.integer import INT4, INT8, Accumulator, IntTensor, Xorshift32, residue
from blockwise.integer.loss import cross_entropy
from blockwise.integer.nitro import output_error
from blockwise.integer.pointwise import relu
from blockwise.integer.pool import avg_pool
from blockwise.integer.residue import ResidueWeights
from blockwise.integer.rounding import nearest, pseudo_stochastic, requantize, stochastic
from blockwise.integer.update import update
from blockwise.integer.xorshift import scramble


def accumulator(*values: int) -> Accumulator:
    return Accumulator(torch.tensor(values, dtype=torch.int32), -14)


def int8(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int8)


def test_random_numbers():
    assert [scramble(0), scramble(1), scramble(1, 1)] == [0x9E3779B9, 0x514E28B7, 0x96A0F96B]
    expected = [0x1F48D1FB, 0xAB81DB40, 0x8DDBF5B4, 0x9ECC8C42]
    assert Xorshift32(1).bits(4, 32).tolist() == expected


def test_roundings():
    x = torch.tensor([24, -24, 37, -37, 40, 5], dtype=torch.int32)
    assert nearest(x, 4).tolist() == [2, -2, 2, -2, 3, 0]
    assert pseudo_stochastic(x, 4).tolist() == [2, -2, 2, -2, 3, 0]
    assert stochastic(Xorshift32(1))(x, 4).tolist() == [2, -1, 2, -2, 2, 0]
    assert nearest(x, 3).tolist() == [3, -3, 5, -5, 5, 1]
    assert pseudo_stochastic(x, 3).tolist() == [3, -3, 4, -4, 5, 0]
    found = requantize(accumulator(1000, -300, 255, 4), INT8)
    assert (found.mantissa.tolist(), found.exponent) == ([125, -38, 32, 1], -11)


def test_loss():
    logits = IntTensor(int8(40, -20, 7, 0).view(1, 4), -4)
    found = cross_entropy(logits, torch.tensor([2]), nearest)
    assert found.error.mantissa.tolist() == [[104, 2, -115, 8]] and found.losses.tolist() == [13378]


def test_updates():
    gradient = accumulator(1000, -300, 255, 4)
    assert update(IntTensor(int8(10, -126, 0, 5), 0), gradient, 5).mantissa.tolist() == [-22, -116, -8, 4]
    byte = ResidueWeights(int8(8, -112, 23, 40), 0)
    assert residue.update(byte, gradient, 5).byte.tolist() == [-24, -102, 15, 39]
    states = IntTensor(int8(0, -7, 3, 1), 0, INT4)
    assert update(states, gradient, 1, stochastic(Xorshift32(1))).mantissa.tolist() == [-2, -7, 3, 1]


def test_where_the_largest_is_a_power_of_two_or_one_as_niti_counts_otherwise():
    found = requantize(accumulator(128), INT8)
    assert (found.mantissa.tolist(), found.exponent) == ([64], -13)  # ceil(log2 128) is 7: it would be cast
    assert update(IntTensor(int8(3, 3, 3), 0), accumulator(1, -1, 0), 5).mantissa.tolist() == [2, 4, 3]


def test_the_relu_comes_before_requantization_and_its_mask_is_that_of_the_sums():
    out, mask = relu(accumulator(300, 1, -1000), INT8)
    assert (out.mantissa.tolist(), mask.tolist()) == ([75, 0, 0], [True, True, False])
    behind = requantize(accumulator(300, 1, -1000), INT8).mantissa.clamp_min(0)
    assert behind.tolist() == [38, 0, 0]  # as NITI has it: by the largest magnitude, one more bit is lost


def test_averages_are_rounded_and_output_errors_clipped_as_nitro_d_has_otherwise():
    window = IntTensor(int8(1, 2, 2, 2).view(1, 1, 2, 2), 0)
    assert avg_pool(window, (2, 2)).mantissa.tolist() == [[[[2]]]]
    assert output_error(int8(-127), int8(32)).tolist() == [-127]
    assert (int8(-127) - int8(32)).tolist() == [97]  # in int8, as there
