"""Convolutions and linear layers, forward and backward, bit for bit as in int64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise.integer import INT4, INT8, UINT4, IntTensor, Xorshift32, ops, reference
from blockwise.integer.canary import ConvShape
from blockwise.integer.ops import Steps
from blockwise.integer.tensor import Format
from devices.errors import InputError


def filled(shape: tuple[int, ...], kind: str, form: Format, rng: Xorshift32) -> torch.Tensor:
    """int8 values of one of the kinds that break inexact sums."""
    count = torch.Size(shape).numel()
    if kind == "high":
        return torch.full(shape, form.high, dtype=torch.int8)
    if kind == "zero":
        return torch.zeros(shape, dtype=torch.int8)
    if kind == "single":
        x = torch.zeros(count, dtype=torch.int8)
        x[count // 2] = form.low or form.high
        return x.view(shape)
    if kind == "ends":
        ends = torch.tensor([form.low, form.high], dtype=torch.int8)
        return ends[rng.bits(count, 1).long()].view(shape)
    levels = form.high - form.low + 1
    return (rng.uniform(count, levels) + form.low).to(torch.int8).view(shape)


KINDS = ["random", "high", "ends", "single", "zero"]
SHAPES = [
    ConvShape(1, 1, 1, 1, kernel=1),
    ConvShape(2, 3, 5, 7),
    ConvShape(2, 4, 3, 6, kernel=1),
    ConvShape(3, 2, 4, 8, kernel=3, stride=2),
    ConvShape(1, 2, 2, 9, kernel=5, stride=2),
    ConvShape(2, 4, 3, 9, kernel=1, stride=2),
    ConvShape(2, 4, 6, 7, kernel=1, stride=3, groups=2),
    ConvShape(2, 3, 6, 9, kernel=1, stride=2, rank=1),
    ConvShape(1, 2, 3, 5, kernel=1, stride=2, rank=3),
    ConvShape(1, 116, 2, 4),  # 9 x 116 x 127^2 is just beyond 2^24
    ConvShape(2, 4, 6, 9, kernel=5, stride=2, rank=1),
    ConvShape(1, 2, 3, 4, rank=3),
    ConvShape(2, 6, 4, 5, groups=2),
    ConvShape(2, 128, 128, 4, groups=128),  # of all filters together the weights pass 2^24, of a group's not
    ConvShape(1, 232, 4, 4, groups=2),  # and here those of a group
]
FORMS = [(INT8, INT8), (UINT4, INT4), (INT8, INT4)]  # inputs and weights


def layer(shape: ConvShape, kind: str, forms: tuple[Format, Format], seed: int):
    """x, w and error of a convolution with half-kernel padding."""
    rng = Xorshift32(seed)
    x = filled(shape.inputs, kind, forms[0], rng)
    w = filled(shape.weights, kind, forms[1], rng)
    e = filled(shape.errors, kind, INT8, rng)
    return IntTensor(x, -7, forms[0]), IntTensor(w, -9, forms[1]), IntTensor(e, -3, INT8)


def assert_convolution_is_exact(shape: ConvShape, kind: str, forms: tuple[Format, Format], seed: int) -> None:
    x, w, e = layer(shape, kind, forms, seed)
    steps = shape.steps
    y = ops.conv(x, w, steps)
    assert (y.exponent, y.mantissa.dtype) == (-16, torch.int32)
    assert y.mantissa.tolist() == reference.conv(x.mantissa, w.mantissa, steps).tolist()
    back = ops.conv_input_gradient(e, w, x.shape, steps)
    assert back.exponent == -12
    expected = reference.conv_input_gradient(e.mantissa, w.mantissa, x.shape, steps)
    assert back.mantissa.tolist() == expected.tolist()
    gradient = ops.conv_weight_gradient(e, x, w.shape, steps)
    assert gradient.exponent == -10
    expected = reference.conv_weight_gradient(e.mantissa, x.mantissa, w.shape, steps)
    assert gradient.mantissa.tolist() == expected.tolist()


@pytest.mark.parametrize("channels", [*range(1, 9), 12])
def test_weight_gradients_of_single_places_apart_are_exact_with_channels_last(channels):
    """Of few channels, PyTorch's are wrong or come to no end (oneDNN's issue 6035)."""
    shape = ConvShape(4, channels, 8, 16, kernel=1, stride=2)
    x, w, e = (t.mantissa for t in layer(shape, "random", (INT8, INT8), seed=channels))
    xl, el = (t.contiguous(memory_format=torch.channels_last) for t in (x, e))
    found = ops.conv_weight_sums(el, xl, w.shape, shape.steps)
    assert found.tolist() == reference.conv_weight_gradient(e, x, w.shape, shape.steps).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("forms", FORMS, ids=lambda f: f"{f[0].name}-{f[1].name}")
def test_convolutions_are_exact(shape, kind, forms):
    assert_convolution_is_exact(shape, kind, forms, seed=1)


@settings(max_examples=35)
@given(
    shape=st.builds(
        ConvShape, st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(3, 9),
        st.sampled_from([1, 3]), st.integers(1, 3),
    ),
    kind=st.sampled_from(KINDS), forms=st.sampled_from(FORMS), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_convolutions_of_any_shape_are_exact(shape, kind, forms, seed):
    assert_convolution_is_exact(shape, kind, forms, seed)


@st.composite
def moving_kernels(draw):
    """Shapes of inputs and weights, and how the kernel moves: oblong, strided, dilated, grouped."""
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sides = [
        tuple(draw(st.integers(low, high)) for _ in range(rank))
        for low, high in ((1, 3), (1, 3), (0, 2), (1, 2), (0, 4))
    ]
    kernel, stride, padding, dilation, more = sides
    size = tuple(d * (k - 1) + 1 + extra for k, d, extra in zip(kernel, dilation, more, strict=True))
    channels, filters = (groups * draw(st.integers(1, 3)) for _ in range(2))
    inputs = draw(st.integers(1, 2)), channels, *size
    return inputs, (filters, channels // groups, *kernel), Steps(stride, padding, dilation, groups)


@pytest.mark.floats  # autograd's
@settings(max_examples=60)
@given(case=moving_kernels(), seed=st.integers(0, 999))
def test_kernels_that_are_oblong_strided_dilated_or_grouped_are_those_of_autograd(case, seed):
    inputs, weights, steps = case
    rng = Xorshift32(seed)
    x, w = (filled(shape, "random", INT8, rng) for shape in (inputs, weights))
    conv = getattr(torch.nn.functional, f"conv{w.ndim - 2}d")
    real_x, real_w = (t.double().requires_grad_() for t in (x, w))
    real = conv(real_x, real_w, None, steps.stride, steps.padding, steps.dilation, steps.groups)
    e = filled(tuple(real.shape), "random", INT8, rng)
    gradients = torch.autograd.grad(real, (real_x, real_w), e.double())
    xi, wi, ei = (IntTensor(t, 0) for t in (x, w, e))
    found = ops.conv(xi, wi, steps), *(
        ops.conv_input_gradient(ei, wi, x.shape, steps), ops.conv_weight_gradient(ei, xi, w.shape, steps)
    )  # fmt: skip
    plain = (
        reference.conv(x, w, steps), reference.conv_input_gradient(e, w, tuple(x.shape), steps),
        reference.conv_weight_gradient(e, x, tuple(w.shape), steps),
    )  # fmt: skip
    for sums, expected, spelt in zip(found, (real, *gradients), plain, strict=True):
        assert sums.mantissa.tolist() == expected.tolist() == spelt.tolist()


def test_a_group_sums_over_its_own_filters_going_back():
    """128 filters of a channel each: none of their sums has more than 9 products."""
    x, w, e = layer(ConvShape(1, 128, 128, 4, groups=128), "high", (INT8, INT8), 0)
    sums = ops.conv_input_gradient(e, w, x.shape, ConvShape(1, 128, 128, 4, groups=128).steps)
    assert int(sums.mantissa.max()) == 9 * 127 * 127


@settings(max_examples=35)
@given(
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 9)),
    kind=st.sampled_from(KINDS), forms=st.sampled_from(FORMS), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_linear_layers_are_exact(sizes, kind, forms, seed):
    rng, (batch, channels, filters) = Xorshift32(seed), sizes
    x = IntTensor(filled((batch, channels), kind, forms[0], rng), 1, forms[0])
    w = IntTensor(filled((filters, channels), kind, forms[1], rng), 2, forms[1])
    e = IntTensor(filled((batch, filters), kind, INT8, rng), 4)
    forward, back, gradient = (
        ops.linear(x, w),
        ops.linear_input_gradient(e, w),
        ops.linear_weight_gradient(e, x),
    )
    assert (forward.exponent, back.exponent, gradient.exponent) == (3, 6, 5)
    assert forward.mantissa.tolist() == reference.linear(x.mantissa, w.mantissa).tolist()
    assert back.mantissa.tolist() == reference.linear_input_gradient(e.mantissa, w.mantissa).tolist()
    assert gradient.mantissa.tolist() == reference.linear_weight_gradient(e.mantissa, x.mantissa).tolist()


def test_a_convolution_by_hand():
    x = IntTensor(torch.arange(1, 10, dtype=torch.int8).view(1, 1, 3, 3), 0)
    w = IntTensor(torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.int8), 0)
    # 1 + 4 + 12 + 20, 2 + 6 + 15 + 24, ...: no kernel is flipped
    assert ops.conv(x, w).mantissa.flatten().tolist() == [37, 47, 67, 77]
    e = IntTensor(torch.tensor([[[[1, 0], [0, -1]]]], dtype=torch.int8), 0)
    back = ops.conv_input_gradient(e, w, x.shape).mantissa
    assert back.flatten().tolist() == [1, 2, 0, 3, 3, -2, 0, -3, -4]
    assert ops.conv_weight_gradient(e, x, w.shape).mantissa.flatten().tolist() == [-4, -4, -4, -4]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_bit(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_convolution_is_exact(ConvShape(4, 130, 8, 8), "ends", (INT8, INT8), seed=2)
    finally:
        torch.set_num_threads(before)


def zeros(*shape: int, form: Format = INT8) -> IntTensor:
    return IntTensor(torch.zeros(shape, dtype=torch.int8), 0, form)


def test_a_batch_whose_weight_gradient_may_overflow_is_refused_with_the_largest_that_fits():
    x, e = zeros(131, 1, 32, 32), zeros(131, 1, 32, 32)
    assert ops.largest_batch(32 * 32) == 130
    with pytest.raises(InputError, match=r"sums of 134144 products.*at most 133144.*at most 130 images"):
        ops.conv_weight_gradient(e, x, (1, 1, 3, 3), Steps(padding=1))
    ops.conv_weight_gradient(zeros(130, 1, 32, 32), zeros(130, 1, 32, 32), (1, 1, 3, 3), Steps(padding=1))
    narrow = zeros(131, 1, 32, 32, form=UINT4)  # products of at most 127 x 15
    ops.conv_weight_gradient(e, narrow, (1, 1, 3, 3), Steps(padding=1))


def test_layers_whose_sums_may_overflow_are_refused():
    with pytest.raises(InputError, match="fewer channels"):
        ops.linear(zeros(1, 133_145), zeros(1, 133_145))
    with pytest.raises(InputError, match="fewer channels"):
        ops.conv(zeros(1, 14_794, 3, 3), zeros(1, 14_794, 3, 3))
    with pytest.raises(InputError, match="input gradient"):
        ops.linear_input_gradient(zeros(1, 133_145), zeros(133_145, 1))
    ops.linear(zeros(1, 133_144), zeros(1, 133_144))
