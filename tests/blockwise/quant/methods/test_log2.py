"""Powers of two: nearest in the linear domain, whatever the exponent, next to every threshold."""

import math

import pytest
import torch

from blockwise import quant
from blockwise.quant.numeric.powers import nearest_power

TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
BITS = quant.method("log2").weight_bits


def around(x: torch.Tensor) -> torch.Tensor:
    """The numbers before, at and after each of ``x``, (3, n)."""
    if x.dtype == torch.bfloat16:
        bits = x.view(torch.int16)
        return torch.stack([bits - 1, bits, bits + 1]).view(torch.bfloat16)
    return torch.stack([x.nextafter(torch.zeros_like(x)), x, x.nextafter(torch.full_like(x, torch.inf))])


@TYPES
def test_next_to_every_threshold_the_nearest_power_is_the_one_of_exact_arithmetic(dtype):
    """At 1.5 2^k for all exponents of a float: below it 2^k, at it and above 2^(k+1)."""
    last = math.frexp(torch.finfo(dtype).max)[1] - 1
    exponents = range(round(math.log2(torch.finfo(dtype).tiny)), last)
    powers = torch.tensor([math.ldexp(1.0, k) for k in exponents], dtype=dtype)
    before, at, after = nearest_power(around(1.5 * powers))
    assert torch.equal(before, powers)
    assert torch.equal(at, 2 * powers)
    assert torch.equal(after, 2 * powers)
    assert torch.equal(nearest_power(-around(1.5 * powers)), -nearest_power(around(1.5 * powers)))
    assert all(torch.equal(same, powers) for same in nearest_power(around(powers)))


def test_every_bfloat16_of_an_octave_goes_to_the_nearer_end():
    x = torch.linspace(1, 2, 129, dtype=torch.bfloat16)
    assert nearest_power(x).tolist() == [1 if v < 1.5 else 2 for v in x.tolist()]


def test_the_threshold_is_halfway_and_not_where_a_rounded_logarithm_puts_it():
    x = torch.tensor([1.40, 1.42, 1.45, 1.49, 1.51])
    assert nearest_power(x).tolist() == [1, 1, 1, 1, 2]
    assert (2.0 ** x.log2().round()).tolist() == [1, 2, 2, 2, 2]  # the common error


def nearest(v: float, levels: list[float]) -> float:
    """Of equally near ones the one of larger magnitude."""
    return min(levels, key=lambda level: (abs(v - level), -abs(level)))


@pytest.mark.parametrize("bits", BITS)
def test_weights_are_the_nearest_of_the_powers_by_search(bits):
    x = torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = quant.make("log2", bits)(x)
    top = 2.0 ** math.floor(math.log2(4 / 3 * x.abs().max().item()))
    powers = [top * 2.0**-k for k in range(2 ** (bits - 1))]
    expected = [math.copysign(nearest(abs(v), powers), v) for v in x.tolist()]
    assert y.tolist() == expected


@pytest.mark.parametrize("bits", BITS)
def test_activations_are_the_nearest_of_zero_and_the_powers_by_search(bits):
    x = 3 * torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = quant.make("log2", bits, "activation")(x)
    top = 2.0 ** math.floor(math.log2(4 / 3 * x.max().item()))
    levels = [0.0, *(top * 2.0**-k for k in range(2**bits - 1))]
    assert y.tolist() == [nearest(max(v, 0.0), levels) for v in x.tolist()]


def test_weights_by_hand():
    """max|w| = 0.8: T = 1, and three bits have 1, 1/2, 1/4 and 1/8 of either sign, but no zero."""
    x = torch.tensor([0.8, -0.74, -0.75, 0.2, -0.18, 0.01, 0.0, -0.0, -1e-9])
    expected = [1, -0.5, -1, 0.25, -0.125, 0.125, 0.125, 0.125, -0.125]
    assert quant.make("log2", 3)(x).tolist() == expected


def test_activations_by_hand():
    """The first batch has T = 4; two bits have 0, 1, 2 and 4. Halfway to zero the level wins."""
    quantizer = quant.make("log2", 2, "activation")
    quantizer(torch.tensor([0.0, 3.0]))
    x = torch.tensor([-3.0, 0.0, 0.49, 0.5, 1.49, 1.5, 2.9, 3.0, 100.0])
    assert quantizer(x).tolist() == [0, 0, 0, 1, 1, 2, 2, 4, 4]
    assert quantizer.codes(x).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]


def test_the_largest_weight_is_never_clipped():
    """It lies in [0.75, 1.5) T, over three octaves."""
    for largest in torch.linspace(0.5, 4, 351).tolist():
        (y,) = quant.make("log2", 4)(torch.tensor([largest])).tolist()
        assert y == 2.0 ** math.floor(math.log2(4 / 3 * largest))


def test_the_gradient_of_weights_passes_unchanged():
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(5, 6, dtype=torch.float64)
    quant.make("log2", 3)(x).backward(upstream)
    assert torch.equal(x.grad, upstream)


def test_the_gradient_of_activations_passes_where_nothing_is_clipped():
    """T = 4: what would round to 8, from 6 on, is clipped; so is all below zero."""
    quantizer = quant.make("log2", 3, "activation").double()
    quantizer(torch.tensor([4.0], dtype=torch.float64))
    x = torch.tensor([-1.0, -1e-9, 1e-9, 0.01, 4.0, 5.99, 6.01, 50.0], dtype=torch.float64)
    x.requires_grad_()
    quantizer(x).backward(torch.arange(1.0, 9, dtype=torch.float64))
    assert x.grad.tolist() == [0, 0, 3, 4, 5, 6, 0, 0]


def test_only_the_first_batch_sets_the_largest_activation_and_zeros_leave_it():
    quantizer = quant.make("log2", 3, "activation")
    quantizer(torch.tensor([3.0]))
    assert quantizer(torch.tensor([100.0])).tolist() == [4]
    quantizer = quant.make("log2", 3, "activation")
    quantizer(torch.tensor([-3.0]))
    assert quantizer.top == 1


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("size", [2e-38, 1e-30, 1e30, 1e38])
def test_tiny_and_huge_weights_have_normal_powers_only(bits, size):
    y = quant.make("log2", bits)(torch.tensor([size, -size, 0.0]))
    assert y.isfinite().all()
    assert (y.abs() >= torch.finfo(torch.float32).tiny).all()
    assert 2 / 3 <= y[0] / size <= 4 / 3


def test_packed_weights_are_sign_and_exponent_beside_one_number():
    x = torch.tensor([1.0, -1.0, 0.5, -0.5, 0.01])
    packed = quant.pack(quant.make("log2", 2, "weight", (5,)), x)
    assert packed.codes.tolist() == [0b01_10_00_11, 0b10]
    assert packed.constants["top"] == 1
    assert packed.stored_bytes == 2 + 4
