"""NITRO-D's arithmetic against its formulas, element by element."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blockwise.integer import Accumulator, IntTensor, Xorshift32, nitro, ops, reference
from blockwise.integer.arithmetic import Place
from blockwise.integer.nitro import NITRO, IntegerSGD
from blockwise.integer.ops import Steps

LARGEST = 2**31 - 1


def c_quotient(x: int, divisor: int) -> int:
    """As C divides."""
    return -(-x // divisor) if x < 0 else x // divisor


def int32(values: list[int]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64).int()


wide = st.lists(st.integers(-LARGEST, LARGEST) | st.integers(-4000, 4000), min_size=1, max_size=30)


@settings(max_examples=60)
@given(xs=wide, factor=st.sampled_from([256, 2304, 256 * 9 * 128, 1 << 20]))
@example(xs=[2303, -2303, 2304, -2304, LARGEST, -LARGEST, 127 * 2304, -128 * 2304], factor=2304)
def test_sums_are_divided_and_clipped(xs, factor):
    expected = [min(max(c_quotient(x, factor), -127), 127) for x in xs]
    assert nitro.scale(int32(xs), factor).tolist() == expected


def test_scale_factors_are_those_of_the_paper():
    assert nitro.scale_factor((64, 128, 3, 3)) == 2**8 * 9 * 128
    assert nitro.scale_factor((10, 1024)) == 2**18


def test_the_activation_at_every_byte():
    x = torch.arange(-127, 128, dtype=torch.int8)
    expected = [min(max(v, 0), 127) + c_quotient(max(min(v, 0), -127), 4) - 36 for v in range(-127, 128)]
    assert nitro.relu(x).tolist() == expected
    assert (min(expected), max(expected)) == (-67, 91)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32])
def test_the_gradient_of_the_activation(dtype):
    x = torch.tensor([-127, -1, 0, 1, 126, 127], dtype=torch.int8)
    for error in (127, -127, 3, -3, -5):
        found = nitro.relu_gradient(torch.full((6,), error, dtype=dtype), x)
        quarter = c_quotient(error, 4)
        assert found.tolist() == [quarter, quarter, error, error, error, 0] and found.dtype == dtype


def test_the_error_of_the_outputs():
    targets = nitro.one_hot(torch.tensor([2, 0]), 3)
    assert targets.tolist() == [[0, 0, 32], [32, 0, 0]]
    outputs = torch.tensor([[1, -2, 30], [-127, 127, 0]], dtype=torch.int8)
    assert nitro.output_error(outputs, targets).tolist() == [[1, -2, -2], [-127, 127, 0]]
    assert nitro.squared_error(outputs, targets).tolist() == [4, (159**2 + 127**2) // 2]


@settings(max_examples=60)
@given(ws=wide, gs=wide, decay=st.sampled_from([0, 3000, 25_000]), factor=st.sampled_from([1, 64 * 10]))
def test_integer_sgd_truncates_both_quotients(ws, gs, decay, factor):
    count = min(len(ws), len(gs))
    ws, gs = [w // 4 for w in ws[:count]], gs[:count]
    found = IntegerSGD(512, factor, decay).update(int32(ws), int32(gs))
    expected = [
        w - c_quotient(g, 512 * factor) - (c_quotient(w, decay) if decay else 0)
        for w, g in zip(ws, gs, strict=True)
    ]
    assert found.tolist() == expected and found.dtype == torch.int32


def test_small_gradients_of_either_sign_move_nothing():
    weights, gradient = int32([5, -5]), int32([-511, 511])
    assert IntegerSGD().update(weights, gradient).tolist() == [5, -5]
    assert weights.tolist() == [5, -5] and gradient.tolist() == [-511, 511]


def test_a_block_forward_and_back_with_wide_weights():
    x = (torch.arange(2 * 3 * 6 * 6) % 255 - 127).to(torch.int8).view(2, 3, 6, 6)
    w = int32([(i * 7919) % 4001 - 2000 for i in range(4 * 27)]).view(4, 3, 3, 3)
    z = ops.conv_sums(x, w, Steps(padding=1))
    assert z.tolist() == reference.conv(x, w, Steps(padding=1)).tolist()
    scaled = nitro.scale(z, nitro.scale_factor((4, 3, 3, 3)))
    error = nitro.relu_gradient(nitro.relu(scaled).int() * 3, scaled)
    gradient = ops.conv_weight_sums(error, x, w.shape, Steps(padding=1))
    assert gradient.tolist() == reference.conv_weight_gradient(error, x, w.shape, Steps(padding=1)).tolist()
    assert IntegerSGD(512, 640).update(w, gradient).shape == w.shape


CONV = Place((4, 3, 3, 3), Steps(padding=1), relu=True, classes=7)
HEAD = Place((7, 64), head=True, classes=7)


@pytest.mark.parametrize(
    ("shape", "bound"),
    [((16, 3, 3, 3), 60), ((32, 16, 3, 3), 25), ((10, 2048), 6), ((16, 1, 3, 3), 64)],  # 304 / floor(sqrt F)
)
def test_first_weights_are_uniform_within_the_bound_of_kaiming(shape, bound):
    assert nitro.kaiming_bound(shape) == bound
    weights = NITRO.initial(Place(shape), Xorshift32(3))
    assert weights.shape == shape and weights.dtype == torch.int32
    assert -bound <= int(weights.min()) < -bound // 2 and bound // 2 < int(weights.max()) <= bound


def test_first_weights_of_a_layer_that_reads_a_large_image_are_not_all_zero():
    weights = NITRO.initial(Place((4, 3 * 224 * 224)), Xorshift32(3))
    assert nitro.kaiming_bound(weights.shape) == 1
    assert set(weights.unique().tolist()) == {-1, 0, 1}


def test_a_layer_is_sums_scaling_and_activation():
    x = IntTensor((torch.arange(2 * 3 * 4 * 4) % 251 - 125).to(torch.int8).view(2, 3, 4, 4), -7)
    weights = int32([(i * 7919) % 401 - 200 for i in range(4 * 27)]).view(CONV.shape)
    out, scaled = NITRO.forward(x, weights, CONV)
    sums = reference.conv(x.mantissa, weights, Steps(padding=1)).flatten().tolist()
    expected = [min(max(c_quotient(s, 256 * 27), -127), 127) for s in sums]
    assert scaled.flatten().tolist() == expected
    assert out.mantissa.tolist() == nitro.relu(scaled).tolist() and out.exponent == 0


def test_a_classifier_ends_with_its_scaled_sums():
    x = IntTensor(torch.full((2, 64), 100, dtype=torch.int8), 0)
    out, saved = NITRO.forward(x, torch.full((7, 64), 512, dtype=torch.int32), HEAD)
    assert out.mantissa.tolist() == [[127] * 7] * 2 and saved is None  # 100 x 512 / 256 = 200 is clipped


def test_what_an_average_pool_takes_off_the_exponent_is_divided():
    scaled = torch.tensor([5, -5, 127, 0], dtype=torch.int8)
    error = Accumulator(int32([1000, 1000, 1000, -1007]), -4)
    found = NITRO.activated(error, scaled, CONV)
    assert found.mantissa.tolist() == [62, 15, 0, -62] and found.exponent == 0


def test_the_rate_falls_with_mu_and_blocks_are_amplified():
    assert nitro.optimizer_of(CONV, 5) == IntegerSGD(512, 64 * 7, 25_000)
    assert nitro.optimizer_of(HEAD, 5) == IntegerSGD(512, 1, 3_000)
    assert [nitro.optimizer_of(HEAD, mu).inverse_rate for mu in (7, 6, 4, 3)] == [128, 256, 1024, 2048]


def test_the_step_is_integer_sgd_on_the_gradient_of_the_old_weights():
    x = IntTensor((torch.arange(2 * 3 * 4 * 4) % 251 - 125).to(torch.int8).view(2, 3, 4, 4), -7)
    error = Accumulator((torch.arange(2 * 4 * 4 * 4) * 7919 % 4001 - 2000).int().view(2, 4, 4, 4), 0)
    weights = torch.full(CONV.shape, 60_000, dtype=torch.int32)
    summed = reference.conv_weight_gradient(error.mantissa, x.mantissa, CONV.shape, Steps(padding=1))
    expected = [60_000 - c_quotient(g, 512 * 64 * 7) - 2 for g in summed.flatten().tolist()]
    gradient = NITRO.weight_sums(error, x, CONV)
    assert NITRO.updated(weights, gradient, CONV, 5, Xorshift32(1)).flatten().tolist() == expected


def test_the_loss_is_half_the_squared_distance_to_the_target():
    logits = IntTensor(torch.tensor([[32, 0, -2], [0, 10, 0]], dtype=torch.int8), 0)
    scored = NITRO.loss(logits, torch.tensor([0, 2]))
    assert scored.error.mantissa.tolist() == [[0, 0, -2], [0, 10, -32]]
    assert int(scored.total) == 2 + (100 + 1024) // 2
    assert NITRO.mean_loss(2 * 1024, 4) == 0.5
