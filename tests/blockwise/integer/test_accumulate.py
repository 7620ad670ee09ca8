"""Which type holds a sum, and the guards of its range."""

import math

import pytest
import torch

from blockwise.integer import accumulate, ops, reference
from blockwise.integer.accumulate import in_exact_float, sum_of_products
from blockwise.integer.ops import Steps
from devices.errors import InputError


@pytest.fixture
def dtypes(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The types in which sums were made, in order."""
    seen: list[torch.dtype] = []
    exact = accumulate._exact

    def watched(compute, a, b, dtype):
        seen.append(dtype)
        return exact(compute, a, b, dtype)

    monkeypatch.setattr(accumulate, "_exact", watched)
    return seen


def full(*shape: int, value: int = 127) -> torch.Tensor:
    return torch.full(shape, value, dtype=torch.int8)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (1040, [torch.float32]),  # 1040 x 127^2 = 16,774,160 < 2^24 = 16,777,216
        (1041, [torch.float32] * 2),
        (2081, [torch.float32] * 4),
        (8320, [torch.float32] * 8),
        (8321, [torch.float64]),
    ],
)
def test_float32_as_long_as_it_is_exact_then_in_parts_then_float64(dtypes, channels, expected):
    x, w = full(2, channels), full(3, channels)
    found = ops.linear_sums(x, w)
    assert dtypes == expected
    assert found.tolist() == [[channels * 127 * 127] * 3] * 2


def test_small_values_need_no_parts(dtypes):
    assert ops.linear_sums(full(1, 8321, value=1), full(1, 8321)).item() == 8321 * 127
    assert dtypes == [torch.float32]


def test_one_large_filter_among_small_ones_counts(dtypes):
    w = torch.cat([full(1, 1041, value=-127), full(1, 1041, value=0)])
    assert ops.linear_sums(full(1, 1041), w).tolist() == [[-1041 * 127 * 127, 0]]
    assert dtypes == [torch.float32] * 2


def test_weight_gradients_are_split_by_images(dtypes):
    x, e = full(3, 1, 32, 32), full(3, 1, 32, 32)
    found = ops.conv_weight_sums(e, x, (1, 1, 3, 3), Steps(padding=1))
    assert dtypes == [torch.float32] * 3  # of one image each: three chunks for at most four parts
    assert found.tolist() == reference.conv_weight_gradient(e, x, (1, 1, 3, 3), Steps(padding=1)).tolist()


def test_wide_weights_are_exact_until_their_sum_overflows():
    x, w = full(1, 2), torch.tensor([[8_454_660, 8_454_660]], dtype=torch.int32)
    assert ops.linear_sums(x, w).item() == 2 * 127 * 8_454_660 <= 2**31 - 1
    with pytest.raises(InputError, match="2147483894"):
        ops.linear_sums(x, w + 1)


def test_only_the_whole_sum_must_fit():
    """A board that wraps on the way arrives at the same number."""
    x, w = full(1, 3), torch.tensor([[2**30, 2**30, -(2**31) + 100]], dtype=torch.int32)
    assert ops.linear_sums(x, w).item() == 12_700
    assert ((127 * 2**30 + 127 * 2**30) % 2**32 - 127 * (2**31 - 100)) % 2**32 == 12_700


def test_what_float64_might_not_hold_is_refused():
    x, w = torch.tensor([[2**30, -(2**30)]], dtype=torch.int32), torch.full((1, 2), 2**23, dtype=torch.int32)
    with pytest.raises(InputError, match=f"wanted at most {2**53}"):
        ops.linear_sums(x, w)


def test_empty_batches_have_zero_gradients():
    x, e = full(0, 3, 4, 4), full(0, 2, 4, 4)
    gradient = ops.conv_weight_sums(e, x, (2, 3, 3, 3), Steps(padding=1))
    assert gradient.shape == (2, 3, 3, 3) and not gradient.any()
    assert ops.linear_sums(full(0, 5), full(2, 5)).shape == (0, 2)


def test_floating_point_is_marked_only_while_it_sums():
    marks = []

    def compute(a, b):
        marks.append(in_exact_float())
        return a @ b.t()

    sum_of_products(compute, full(1, 2), full(1, 2), ops.FORWARD)
    assert marks == [True] and not in_exact_float()
    with pytest.raises(ZeroDivisionError):
        sum_of_products(lambda a, b: a / (1 // 0), full(1, 2), full(1, 2), ops.FORWARD)
    assert not in_exact_float()


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 7), (2, 3, 8, 12), (4, 2, 5, 3), (2, 2, 4, 4, 4)])
@pytest.mark.parametrize("value", [-128, -127, 127])
def test_magnitudes_of_bytes_are_summed_exactly_over_the_full_range(shape, value):
    for layout in (torch.contiguous_format, torch.channels_last):
        if layout == torch.channels_last and len(shape) != 4:
            continue
        found = accumulate._sums(full(*shape, value=value).contiguous(memory_format=layout), ops.WEIGHTS)
        assert found.tolist() == [[abs(value) * math.prod(shape[2:])] * shape[1]] * shape[0]
