"""What methods with a trained range share, against brute force."""

import pytest
import torch

from blockwise.quant.numeric.ranges import inner, least_error_end


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def error(x: torch.Tensor, end: float, levels: int, signed: bool) -> float:
    """Squared distance to the nearest of all levels, each tried."""
    grid = torch.linspace(-end if signed else 0, end, levels + 1)
    return float((x.flatten()[:, None] - grid).square().amin(1).sum())


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("levels", [1, 3, 7, 255])
def test_no_other_fortieth_of_the_largest_value_has_a_smaller_error(levels, signed):
    x = normal(20, 30)
    largest = float(x.abs().max() if signed else x.max())
    errors = {k: error(x, k / 40 * largest, levels, signed) for k in range(1, 41)}
    found = least_error_end(x, levels, signed=signed).item()
    assert errors[round(found / largest * 40)] == pytest.approx(min(errors.values()), rel=1e-4)


def test_values_on_the_levels_are_their_own_range():
    x = torch.arange(8.0).repeat(3)
    assert least_error_end(x, 7).item() == 7
    assert least_error_end(x - 3.5, 7, signed=True).item() == 3.5


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_huge_and_tiny_values_have_the_same_range_scaled(scale):
    x = normal(100)
    torch.testing.assert_close(least_error_end(scale * x, 7), scale * least_error_end(x, 7))


def test_without_a_positive_value_there_is_no_range():
    assert least_error_end(-torch.ones(5), 7) == 0
    assert least_error_end(torch.zeros(5), 7, signed=True) == 0


def test_a_sample_of_many_values_is_enough():
    x = normal(64, 16, 32, 32)
    assert least_error_end(x, 7).item() == pytest.approx(least_error_end(x[:1], 7).item(), rel=0.3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_sum_of_products_is_the_same_in_every_layout(layout):
    a, b = normal(2, 3, 4, 5), normal(2, 3, 4, 5) + 1
    assert inner(a, b.contiguous(memory_format=layout)).item() == pytest.approx((a * b).sum().item())
