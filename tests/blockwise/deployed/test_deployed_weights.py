"""Weights come back from codes and scales, or levels, as training computed with them."""

import pytest
import torch
from inner import inner
from quantizer_cases import EXTREMES, cases, new, over, values

from blockwise.deployed.weights import coded, decoded, integers
from blockwise.quant.packing import pack_codes

weights = over(cases(roles=("weight",)))


@weights
def test_every_method_comes_back_to_the_bit(name, bits, role):
    for shape in [(4, 6, 3, 3), (7, 20), (5, 3, 3)]:
        with inner(shape=shape):
            x = values(3, shape)
            quantizer = new(name, bits, role, x)
            expected = quantizer(x).detach()
            found = coded(quantizer, x)
            assert torch.equal(decoded(found.told, found.tensors), expected)
            assert found.told["shape"] == list(shape)
            assert found.bytes == sum(t.nbytes for t in found.tensors.values())


@pytest.mark.slow
@weights
def test_extreme_weights_do_too(name, bits, role):
    for extreme, x in EXTREMES.items():
        with inner(extreme=extreme):
            quantizer = new(name, bits, role, x)
            expected = quantizer(x).detach()
            found = coded(quantizer, x)
            assert torch.equal(decoded(found.told, found.tensors), expected)


@pytest.mark.parametrize(("name", "bits"), [("lsq", 3), ("lsq", 8), ("ptq-mse", 4), ("twn", 2), ("bnn", 1)])
def test_even_levels_take_the_bytes_of_the_plan(name, bits):
    x = values(3, (8, 6, 3, 3))
    quantizer = new(name, bits, "weight", x)
    quantizer(x)
    memory, found = quantizer.memory(bits), coded(quantizer, x)
    scales = max(memory.packed, 1) * (8 if memory.per_channel else 1)  # signs alone have a scale of 1 here
    assert found.bytes == -(-x.numel() * bits // 8) + 4 * scales
    assert set(found.tensors) == {"codes", "scale"}


def test_whole_numbers_have_no_scale():
    mantissa = torch.tensor([[-7, 0], [3, 7]], dtype=torch.int8)
    found = integers(mantissa, 4, -7)
    assert set(found.tensors) == {"codes"}
    assert (
        found.tensors["codes"].tolist()
        == pack_codes(torch.tensor([0, 7, 10, 14]), 4).tolist()
        == [0x70, 0xEA]
    )
    assert torch.equal(decoded(found.told, found.tensors), mantissa.double())
    wide = torch.tensor([[-(1 << 30) - 1, (1 << 31) - 1]], dtype=torch.int32)
    found = integers(wide, 32, -(1 << 31))
    assert torch.equal(decoded(found.told, found.tensors), wide.double())
