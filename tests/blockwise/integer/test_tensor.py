"""What an integer tensor accepts."""

import pytest
import torch

from blockwise.integer import INT4, INT8, UINT4, Accumulator, IntTensor


@pytest.mark.parametrize(
    ("form", "low", "high", "bits"), [(INT8, -127, 127, 7), (INT4, -7, 7, 3), (UINT4, 0, 15, 4)]
)
def test_formats_have_their_ranges(form, low, high, bits):
    assert (form.low, form.high, form.magnitude_bits) == (low, high, bits)
    both_ends = torch.tensor([low, high], dtype=torch.int8)
    assert IntTensor(both_ends, 0, form).check_range().bits == form.bits
    for beyond in (low - 1, high + 1):
        if -128 <= beyond <= 127:
            with pytest.raises(ValueError, match=form.name):
                IntTensor(torch.tensor([beyond], dtype=torch.int8), 0, form).check_range()


def test_other_dtypes_are_refused():
    with pytest.raises(TypeError, match=r"torch\.int32"):
        IntTensor(torch.zeros(2, dtype=torch.int32), 0)
    with pytest.raises(TypeError, match=r"torch\.int64"):
        Accumulator(torch.zeros(2, dtype=torch.int64), 0)


def test_an_empty_tensor_is_in_range_and_shapes_change_row_by_row():
    assert IntTensor(torch.zeros(0, dtype=torch.int8), 3).check_range().shape == (0,)
    x = IntTensor(torch.arange(6, dtype=torch.int8).view(2, 3), -4, INT8)
    assert x.reshape(3, 2).mantissa.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert (x.reshape(-1).exponent, x.reshape(-1).format) == (-4, INT8)
