"""The integer softmax cross entropy: against its definition in plain integers, and against floats."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from blockwise.integer import IntTensor, Xorshift32
from blockwise.integer.loss import FARTHEST, MOST_CLASSES, cross_entropy, predicted
from blockwise.integer.rounding import Rounding, nearest, pseudo_stochastic, stochastic
from devices.errors import InputError


def in_32_bits(x: int) -> int:
    assert -(2**31) <= x < 2**31
    return x


def gradient_by_hand(o: list[int], exponent: int, label: int) -> tuple[list[int], int]:
    """g before its rounding shift, and the loss, as docs/integer-arithmetic.md defines them."""
    distances = []
    for value in o:
        t = in_32_bits((max(o) - value) * 47274)
        d = t >> min(3 - exponent, 31) if exponent < 3 else in_32_bits(t << min(exponent - 3, 3))
        distances.append(min(d, 2**18 - 1))
    p = []
    for d in distances:
        z = max(40960 - d, 0)
        i, f = z >> 12, z & 4095
        m = 4096 + (in_32_bits(f * (2709 + (in_32_bits(1387 * f) >> 12))) >> 12)
        p.append((in_32_bits(m << i) >> 4) - 256)
    total = in_32_bits(sum(p))
    g = [in_32_bits(v << 11) // total for v in p]
    g[label] -= sum(g)
    y = in_32_bits(total + 256)
    n = y.bit_length() - 1
    f = (y >> (n - 12)) & 4095
    log2 = 4096 * n + f + (in_32_bits(1423 * (in_32_bits(f * (4096 - f)) >> 12)) >> 12)
    return g, in_32_bits(log2 - 18 * 4096 + distances[label])


def tensor(rows: list[list[int]], exponent: int) -> IntTensor:
    return IntTensor(torch.tensor(rows, dtype=torch.int8), exponent)


def unrounded(logits: IntTensor, labels: torch.Tensor) -> torch.Tensor:
    """g as the rounding meets it."""
    met = []

    def rounding(x: torch.Tensor, shift: int) -> torch.Tensor:
        assert shift == 4
        met.append(x.clone())
        return nearest(x, shift)

    cross_entropy(logits, labels, rounding)
    return met[0]


row = st.lists(st.integers(-127, 127), min_size=1, max_size=12)


@settings(max_examples=80)
@given(o=row, exponent=st.integers(-20, 8), label=st.integers(0, 100))
@example(o=[127, -127, 126, 0], exponent=-100, label=1)
@example(o=[127, -127, 126, 0], exponent=100, label=1)
@example(o=[127, -127, 126, 0], exponent=3, label=2)
@example(o=[127, -127, 126, 0], exponent=5, label=2)
@example(o=[127, -127, 126, 0], exponent=6, label=2)
@example(o=[0] * 10, exponent=0, label=9)
@example(o=[-127], exponent=0, label=0)
def test_gradient_and_loss_are_their_definition(o, exponent, label):
    label %= len(o)
    logits, labels = tensor([o, o[::-1]], exponent), torch.tensor([label, len(o) - 1 - label])
    expected, loss = gradient_by_hand(o, exponent, label)
    assert unrounded(logits, labels).tolist() == [expected, expected[::-1]]
    found = cross_entropy(logits, labels)
    shifted = pseudo_stochastic(torch.tensor([expected], dtype=torch.int32), 4).clamp(-127, 127)
    assert found.error.mantissa[0].tolist() == shifted[0].tolist()
    assert found.losses.tolist() == [loss, loss] and found.losses.dtype == torch.int32
    assert found.error.exponent == -7 and loss >= 0
    found.error.check_range()


def test_the_gradient_of_an_image_sums_to_zero_before_its_rounding():
    o = Xorshift32(1).uniform(50 * 10, 255).sub(127).to(torch.int8).view(50, 10)
    g = unrounded(IntTensor(o, -4), torch.arange(50) % 10)
    assert g.sum(1).tolist() == [0] * 50
    error = cross_entropy(IntTensor(o, -4), torch.arange(50) % 10, stochastic(Xorshift32(2))).error
    assert error.mantissa.int().sum(1).abs().max() <= 10  # less than one unit for each class


def test_a_sure_and_right_answer_has_no_error_and_no_loss():
    found = cross_entropy(tensor([[127, -127, -127]], 0), torch.tensor([0]))
    assert found.error.mantissa.tolist() == [[0, 0, 0]] and found.losses.tolist() == [0]


def test_a_sure_and_wrong_answer_has_the_largest_error_and_loss():
    found = cross_entropy(tensor([[127, -127, -127]], 3), torch.tensor([2]), nearest)
    assert found.error.mantissa.tolist() == [[127, 0, -127]]  # 128, clipped
    assert found.losses.tolist() == [FARTHEST]


def test_equal_logits_share_what_there_is():
    found = cross_entropy(tensor([[5] * 4], 0), torch.tensor([3]), nearest)
    assert found.error.mantissa.tolist() == [[32, 32, 32, -96]]  # 1/4, 1/4, 1/4, 1/4 - 1 of 128
    assert found.losses.tolist() == [2 * 4096 - 5]  # log2 4, less what 2^z - 1 leaves out


@pytest.mark.floats
@pytest.mark.parametrize("exponent", range(-14, 4))
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_it_is_close_to_softmax_cross_entropy(exponent, classes, integers_only):
    rng = Xorshift32(exponent & 0xFF, stream=classes)
    o = rng.uniform(300 * classes, 255).sub(127).to(torch.int8).view(300, classes)
    labels = torch.arange(300) % classes
    with integers_only():
        g, losses = (
            unrounded(IntTensor(o, exponent), labels),
            cross_entropy(IntTensor(o, exponent), labels).losses,
        )
    real = o.double() * 2.0**exponent
    wanted = real.softmax(1) - functional.one_hot(labels, classes)
    assert (g / 2048 - wanted).abs().max() < 0.01 + 0.0005 * classes
    bits = functional.cross_entropy(real, labels, reduction="none") / math.log(2)
    near = bits < 60
    assert (losses / 4096 - bits)[near].abs().max() < 0.03


def one_rounding(name: str) -> Rounding:
    return {"nearest": nearest, "pseudo": pseudo_stochastic}.get(name) or stochastic(Xorshift32(4))


@pytest.mark.parametrize("name", ["nearest", "pseudo", "stochastic"])
def test_any_rounding_will_do(name):
    o = Xorshift32(1).uniform(60, 255).sub(127).to(torch.int8).view(6, 10)
    error = cross_entropy(IntTensor(o, -5), torch.arange(6), one_rounding(name)).error.check_range()
    expected = one_rounding(name)(unrounded(IntTensor(o, -5), torch.arange(6)), 4)
    assert error.mantissa.tolist() == expected.clamp(-127, 127).tolist()


@pytest.mark.slow
def test_as_many_classes_as_fit_32_bits():
    o = torch.zeros(1, MOST_CLASSES, dtype=torch.int8)
    found = cross_entropy(IntTensor(o, 0), torch.tensor([7]))
    assert found.losses.item() == gradient_by_hand([0] * MOST_CLASSES, 0, 7)[1]
    with pytest.raises(InputError, match="8192 classes"):
        cross_entropy(IntTensor(torch.zeros(1, MOST_CLASSES + 1, dtype=torch.int8), 0), torch.tensor([7]))


def test_the_first_of_equal_logits_is_predicted():
    assert predicted(tensor([[1, 9, 9, 2], [3, 3, 3, 3], [-5, -7, -9, -5]], 0)).tolist() == [1, 0, 0]
