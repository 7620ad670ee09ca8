"""Convolutions of codes on bytes: against sums in whole numbers and against autograd."""

import pytest
import torch
from byte_products import NEEDS_BYTES, WIDEST
from torch import Tensor
from torch.nn import functional as F

from blockwise.quant.codes_conv import (
    conv_gradients,
    conv_in_halves,
    conv_of_codes,
    low_conv,
    low_sums,
    sums_of_codes,
)
from blockwise.quant.precision import PAIR_BITS

pytestmark = NEEDS_BYTES
Where = tuple[list[int], list[int], list[int]]
PLACES: list[Where] = [([1, 1], [1, 1], [1, 1]), ([2, 2], [0, 0], [1, 1]), ([1, 2], [2, 1], [2, 1])]


def operands(kernel: int, x_step: float, w_step: float) -> tuple[Tensor, ...]:
    """Codes and weights of 8 bits, all of their range, in float64, and the values that they stand for.

    Codes are of 7 bits where the processor does not sum those of 8.
    """
    torch.manual_seed(kernel)
    codes = torch.randint(0, 2**WIDEST, (3, 5, 9, 8)).double()
    weights = torch.randint(-128, 128, (7, 5, kernel, kernel)).double()
    steps = torch.tensor(x_step), torch.tensor(w_step)
    x = (codes.float() * steps[0]).contiguous(memory_format=torch.channels_last).requires_grad_()
    return codes, weights, x, (weights.float() * steps[1]).requires_grad_(), *steps


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kernel", [1, 3])
def test_sums_of_codes_are_those_of_whole_numbers_to_the_bit(kernel, where):
    codes, weights, x, w, *steps = operands(kernel, 1.0, 1.0)
    out = conv_of_codes(x, w, *steps, where, low=False)
    assert torch.equal(out.double(), F.conv2d(codes, weights, None, *where))
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("bits", [(WIDEST, 8), (8, PAIR_BITS - 8), (3, 3)])
@pytest.mark.parametrize("channels", [1, 3, 16, 31])
def test_the_largest_codes_beside_the_largest_weights_are_summed_as_they_are(channels, bits):
    """Where two products are summed in 16 bits, larger sums would end at the largest of these."""
    one, x = torch.tensor(1.0), torch.full((2, channels, 5, 5), 2.0 ** bits[0] - 1)
    for largest in (-(2.0 ** (bits[1] - 1)), 2.0 ** (bits[1] - 1) - 1):
        w = torch.full((7, channels, 3, 3), largest)
        expected = F.conv2d(x.double(), w.double(), None, *PLACES[0])
        assert torch.equal(conv_of_codes(x, w, one, one, PLACES[0], low=False).double(), expected)


def test_with_steps_the_only_rounding_is_that_of_the_scaled_sum():
    codes, weights, x, w, *steps = operands(3, 0.0371, 0.00213)
    exact = F.conv2d(codes, weights, None, *PLACES[0]) * (steps[0] * steps[1]).double()
    out = conv_of_codes(x, w, *steps, PLACES[0], low=False).double()
    last = torch.finfo(torch.float32).eps
    assert ((out - exact).abs() <= last * exact.abs()).all()
    floats = F.conv2d(x, w, None, *PLACES[0]).double()
    assert (floats - exact).norm() > 2 * (out - exact).norm()  # each product is rounded there


@pytest.mark.parametrize("where", PLACES)
def test_gradients_are_those_of_autograd_and_in_bf16_as_near_as_8_digits_are(where):
    _, _, x, w, *steps = operands(3, 0.0371, 0.00213)
    out = F.conv2d(x, w, None, *where)
    g = torch.randn_like(out)
    expected = torch.autograd.grad(out, (x, w), g)
    whole = torch.autograd.grad(conv_of_codes(x, w, *steps, where, low=False), (x, w), g)
    low = torch.autograd.grad(conv_of_codes(x, w, *steps, where, low=True), (x, w), g)
    for theirs, own, rounded in zip(expected, whole, low, strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-5)
        assert 0 < (rounded - theirs).norm() < 2**-7 * theirs.norm()


@pytest.mark.parametrize("where", PLACES)
def test_in_halves_products_of_codes_are_exact_and_what_is_kept_is_rounded(where):
    codes, weights, _, w, *steps = operands(3, 0.0371, 0.00213)
    codes %= 129  # those of 7 bits can be told of values that are kept in 8 digits
    x = (codes.float() * steps[0]).contiguous(memory_format=torch.channels_last).requires_grad_()
    exact = F.conv2d(codes, weights, None, *where) * (steps[0] * steps[1]).double()
    half = x.detach().bfloat16().requires_grad_()
    out, same = conv_in_halves(half, w, *steps, where), conv_in_halves(x, w, *steps, where)
    assert out.dtype == torch.bfloat16 and torch.equal(out, same)
    assert ((out.double() - exact).abs() <= 2**-7 * exact.abs()).all()
    g = torch.randn_like(out)
    expected = torch.autograd.grad(F.conv2d(x, w, None, *where), (x, w), g.float())
    own = torch.autograd.grad(out, (half, w), g)
    assert [t.dtype for t in own] == [torch.bfloat16, torch.float32]
    for theirs, found in zip(expected, own, strict=True):
        assert (found - theirs).norm() < 2**-7 * theirs.norm()


def test_gradients_in_bf16_of_errors_that_it_holds_are_exact_sums():
    """Codes and errors are small whole numbers: only sums above 256 are rounded."""
    codes, weights, x, w, *steps = operands(1, 1.0, 1.0)
    out = conv_of_codes(x, w, *steps, PLACES[0], low=True)
    g = torch.zeros_like(out)
    g[0, 0, 0, 0] = 1.0
    of_x, of_w = torch.autograd.grad(out, (x, w), g)
    inner = F.conv2d(codes.requires_grad_(), weights.requires_grad_(), None, *PLACES[0])
    expected = torch.autograd.grad(inner, (codes, weights), g.double())
    assert torch.equal(of_x.double(), expected[0]) and torch.equal(of_w.double(), expected[1])


@pytest.mark.parametrize("rounded", [False, True])
def test_values_that_are_no_codes_are_rounded_in_the_forward_pass_only_where_they_are_floats(rounded):
    _, _, x, w, *_ = operands(3, 0.0371, 0.00213)
    expected = F.conv2d(x, w, None, *PLACES[0])
    out = low_conv(x, w, PLACES[0], rounded=rounded)
    assert out.dtype == torch.float32
    assert torch.equal(out, expected) == (not rounded)
    assert (out - expected).norm() < 2**-7 * expected.norm()
    g = torch.randn_like(out)
    pairs = zip(torch.autograd.grad(out, (x, w), g), torch.autograd.grad(expected, (x, w), g), strict=True)
    assert all((own - theirs).norm() < 2**-7 * theirs.norm() for own, theirs in pairs)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("where", PLACES)
def test_a_compiler_is_told_the_shapes_and_layouts_that_there_are(where, channels, layout):
    x = torch.randint(0, 256, (3, channels, 9, 8), dtype=torch.uint8).contiguous(memory_format=layout)
    w = torch.randint(-128, 128, (7, channels, 3, 3), dtype=torch.int8).contiguous(memory_format=layout)
    g = F.conv2d(x.float(), w.float(), None, *where)
    one = torch.tensor(1.0)
    calls = [(sums_of_codes, (x, w, one, *where)), (low_sums, (x.float(), w.float(), *where))]
    for low in (False, True):
        calls += [(conv_gradients, (g, x, w, *where, [True, True], low)),
                  (conv_gradients, (g, x.float(), w.float(), *where, [False, True], low))]  # fmt: skip
    for operation, arguments in calls:
        torch.library.opcheck(operation, arguments, test_utils=("test_schema", "test_faketensor"))
