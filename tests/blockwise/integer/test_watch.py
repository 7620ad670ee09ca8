"""The watch of this folder's conftest notices floating point."""

import pytest
import torch


def test_a_float_tensor_is_noticed():
    with pytest.raises(AssertionError, match="float32"):
        torch.ones(3, dtype=torch.int32) * 0.5


def test_a_passing_detour_through_floats_is_noticed():
    with pytest.raises(AssertionError, match="float64"):
        torch.ones(3, dtype=torch.int32).double().int()


@pytest.mark.floats
def test_a_marked_test_may_use_floats(integers_only):
    assert (torch.ones(3) * 0.5).sum() == 1.5
    with pytest.raises(AssertionError), integers_only():
        torch.ones(3)
