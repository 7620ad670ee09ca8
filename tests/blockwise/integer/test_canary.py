"""The check at start-up passes here, and notices arithmetic that is not exact."""

import pytest
from torch.nn import functional

from blockwise.integer.canary import ConvShape, check_exact

SMALL = (ConvShape(1, 115, 2, 4), ConvShape(2, 3, 4, 6))


@pytest.mark.slow
def test_this_machine_is_exact():
    check_exact()


@pytest.mark.parametrize("error", [1, -1])
def test_a_convolution_that_is_off_by_one_is_noticed(monkeypatch, error):
    exact = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", lambda *args: exact(*args) + error)
    with pytest.raises(RuntimeError, match="convolution of all"):
        check_exact(shapes=SMALL)


def test_inputs_rounded_to_bfloat16_are_noticed(monkeypatch):
    exact = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", lambda a, b, *rest: exact(a, b.bfloat16().to(b.dtype), *rest))
    with pytest.raises(RuntimeError, match="10-bit"):
        check_exact(shapes=SMALL)


def test_sums_held_in_fewer_bits_are_noticed(monkeypatch):
    exact = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", lambda *args: exact(*args).bfloat16().float())
    with pytest.raises(RuntimeError, match=r"torch\.backends"):
        check_exact(shapes=SMALL)
