"""Gradients through every quantizer of the catalogue: finite, of the input's shape, however laid out."""

import copy
import itertools

import torch
from inner import inner
from quantizer_cases import EXTREMES, cases, every, every_usual, gradients, kind, new, over, values

from blockwise.quant.layers import Signed

every_activation = over(cases(roles=("activation",)))  # the ends of weights may follow the largest

TYPES = [torch.float32, torch.bfloat16]
LAYOUTS = (torch.contiguous_format, torch.channels_last)


@every
def test_gradients_are_finite_and_of_the_inputs_shape(name, bits, role):
    x = values(5)
    first, *others = gradients(new(name, bits, role, x), x)
    assert first.shape == x.shape
    assert all(g.isfinite().all() for g in (first, *others))


@every_usual
def test_constant_tensors_give_finite_values_and_gradients(name, bits, role):
    for constant in (0.0, 0.3, -2.0, 1e-30, 1e4, 1e30):
        with inner(constant=constant):
            x = torch.full((3, 4, 2), constant)
            quantizer = new(name, bits, role, x)
            assert quantizer(x).isfinite().all()
            assert quantizer(x).unique().numel() == 1
            assert all(g.isfinite().all() for g in gradients(quantizer, x))


@every
def test_extreme_tensors_give_finite_values_of_few_levels_and_finite_gradients(name, bits, role):
    for extreme, dtype in itertools.product(EXTREMES, TYPES):
        with inner(extreme=extreme, dtype=dtype):
            x = EXTREMES[extreme].to(dtype)
            quantizer = new(name, bits, role, x).to(dtype)
            y = quantizer(x).detach()
            assert y.isfinite().all()
            if kind(name, role).elementwise and name != "fp32":
                assert y.unique().numel() <= 2**bits
            assert all(g.isfinite().all() for g in gradients(quantizer, x))


@every_activation
def test_values_of_both_signs_have_the_gradients_of_their_magnitudes_as_has_zero(name, bits, role):
    x = values(4)
    x[:, 0] = 0
    quantizer = new(name, bits, role, x.abs())
    signed = Signed(copy.deepcopy(quantizer)).eval()
    magnitudes, both = (t.clone().requires_grad_() for t in (x.abs(), x))
    (expected,) = torch.autograd.grad(quantizer.eval()(magnitudes).sum(), magnitudes)
    (found,) = torch.autograd.grad(signed(both).sum(), both)
    assert torch.equal(found, expected)
    if name == "lsq":
        assert bool((found[:, 0] == 1).all())


@every_activation
def test_activations_beyond_the_ends_take_the_end_and_get_no_gradient(name, bits, role):
    for dtype in TYPES:
        with inner(dtype=dtype):
            x = values(1, (50, 100)).to(dtype)
            quantizer = new(name, bits, role, x).to(dtype)
            quantizer(x)
            reach = 1e3 * torch.ones(1, 2, dtype=dtype)
            low, high = quantizer(torch.cat([-reach, reach])).detach().unique().tolist()
            ends = torch.tensor([[low, high, 0.0, -0.0, -1e4, 1e4]], dtype=dtype)
            y = quantizer(ends).detach()
            assert y[0, -2:].tolist() == [low, high]
            assert y[0, 2] == y[0, 3]
            assert (y >= low).all()
            assert (y <= high).all()
            if kind(name, role).idempotent:
                assert y[0, :2].tolist() == [low, high]
            assert gradients(quantizer, ends)[0][0, -2:].tolist() == [0, 0]


def laid_out(plain: torch.Tensor) -> dict[str, torch.Tensor]:
    """Views with the values of ``plain``, by how they lie in memory."""
    ones = torch.ones(1, *plain.shape[1:], dtype=plain.dtype)
    return {
        "transposed": plain.transpose(1, 3).contiguous().transpose(1, 3),
        "strided": torch.stack([plain, plain], dim=-1)[..., 0],
        "channels_last": plain.contiguous(memory_format=torch.channels_last),
        "offset": torch.cat([ones, plain])[1:],
    }


@every_usual
def test_the_layout_in_memory_changes_nothing(name, bits, role):
    for dtype in TYPES:
        plain = values(6, (4, 6, 5, 3)).to(dtype)
        repeated = plain[:1].repeat(4, 1, 1, 1)
        pairs = {layout: (plain, view) for layout, view in laid_out(plain).items()}
        pairs["expanded"] = (repeated, plain[:1].expand(4, 6, 5, 3))
        near = {"rtol": 1e-5, "atol": 1e-5} if dtype is torch.float32 else {"rtol": 0.05, "atol": 0.05}
        for layout, (one, view) in pairs.items():
            with inner(dtype=dtype, layout=layout):
                assert torch.equal(view, one)
                quantizer, other = (new(name, bits, role, one).to(dtype) for _ in range(2))
                torch.testing.assert_close(quantizer(one), other(view))
                for a, b in zip(gradients(quantizer, one), gradients(other, view), strict=True):
                    torch.testing.assert_close(a, b, **near)


class _Witness(torch.autograd.Function):
    """The layer before, which sees the gradient as it comes: a leaf lays its own out by itself."""

    @staticmethod
    def forward(ctx, x):
        ctx.stride = x.stride()
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        assert g.stride() == ctx.stride
        return g


@over(cases(), long=(5, 6, 7))
def test_a_gradient_in_another_layout_than_its_input_goes_on_in_the_inputs_with_the_same_bits(
    name, bits, role
):
    upstream = values(7)
    for (own, other), training in itertools.product((LAYOUTS, LAYOUTS[::-1]), (False, True)):
        with inner(own=own, other=other, training=training):
            start = values(6).contiguous(memory_format=own)
            twins = [new(name, bits, role, start).train(training)]
            twins.append(copy.deepcopy(twins[0]))
            found = []
            for quantizer, layout in zip(twins, (own, other), strict=True):
                leaf = start.clone(memory_format=torch.preserve_format).requires_grad_()
                y = quantizer(leaf if role == "weight" else _Witness.apply(leaf))
                y.backward(upstream.contiguous(memory_format=layout))
                found.append([leaf.grad, *(p.grad for p in quantizer.parameters())])
            assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
