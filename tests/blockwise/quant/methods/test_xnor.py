"""XNOR-Net: one scale to a filter, and the gradient of the product of scale and sign."""

import pytest
import torch

from blockwise import quant


def quantized(x: torch.Tensor) -> torch.Tensor:
    return quant.make("xnor", 1, "weight", tuple(x.shape))(x)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_values_by_hand():
    x = torch.tensor([[1.0, -3.0, 0.0, 4.0], [-0.5, -0.5, 0.25, -0.0]])
    assert quantized(x).tolist() == [[2, -2, 2, 2], [-0.3125, -0.3125, 0.3125, 0.3125]]


def test_gradient_by_hand():
    """Weights 0.5, -2, 1 of mean magnitude 7/6 and upstream gradients 1, 2, 3; 1 itself is masked."""
    x = torch.tensor([[0.5, -2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    quantized(x).backward(torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64))
    along = (1 - 2 + 3) / 3
    assert x.grad.tolist() == [pytest.approx([along + 7 / 6, -along, along])]


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (5, 12), (6,), (3, 1, 1, 1)])
def test_values_and_gradients_are_the_elementwise_formula(shape):
    x, g = 0.8 * normal(*shape), normal(*shape, seed=1)
    leaf = x.clone().requires_grad_()
    y = quantized(leaf)
    y.backward(g)
    for filter, out, upstream, grad in zip(x, y, g, leaf.grad, strict=True):
        w, gs = filter.flatten().tolist(), upstream.flatten().tolist()
        n, scale = len(w), sum(map(abs, w)) / len(w)
        sign = [1 if v >= 0 else -1 for v in w]
        total = sum(u * s for u, s in zip(gs, sign, strict=True))
        expected = [s / n * total + scale * u * (abs(v) < 1) for v, u, s in zip(w, gs, sign, strict=True)]
        assert out.flatten().tolist() == pytest.approx([scale * s for s in sign])
        assert grad.flatten().tolist() == pytest.approx(expected)


def test_where_all_weights_are_large_autograd_on_the_scale_alone_agrees():
    """There the sign is constant and passes nothing: no estimator is left in the gradient."""
    x, g = normal(4, 3, 3, 3), normal(4, 3, 3, 3, seed=1)
    x = x.sign() * (x.abs() + 1)
    leaf, smooth = x.clone().requires_grad_(), x.clone().requires_grad_()
    quantized(leaf).backward(g)
    (smooth.abs().mean((1, 2, 3), keepdim=True) * x.sign()).backward(g)
    torch.testing.assert_close(leaf.grad, smooth.grad)


def test_a_central_difference_of_the_scale_agrees():
    """Weights beyond 1: moving one of them moves the values of its own filter only."""
    x, g = normal(3, 5), normal(3, 5, seed=1)
    x = x.sign() * (x.abs() + 1)
    leaf = x.clone().requires_grad_()
    quantized(leaf).backward(g)
    small = torch.zeros_like(x)
    small[1, 2] = 1e-6
    difference = ((quantized(x + small) - quantized(x - small)) * g).sum() / 2e-6
    assert leaf.grad[1, 2].item() == pytest.approx(difference.item(), rel=1e-6)


def test_the_scale_of_each_filter_is_the_best_for_its_signs():
    x = normal(4, 3, 3, 3)
    y = quantized(x)
    error = (x - y).square().sum((1, 2, 3))
    assert all((error < (x - factor * y).square().sum((1, 2, 3))).all() for factor in (0.9, 0.99, 1.01, 1.1))


def test_a_filter_does_not_see_its_neighbours():
    x = normal(4, 6)
    alone = quantized(x)
    x[1:] *= 100
    assert torch.equal(quantized(x)[0], alone[0])


def test_activations_are_signs():
    assert quant.make("xnor", 1, "activation")(torch.tensor([-0.3, 0.0, 7.0])).tolist() == [-1, 1, 1]


def test_packed_weights_are_bits_and_one_scale_to_a_filter():
    packed = quant.pack(quant.make("xnor", 1, "weight", (4, 8)), normal(4, 8).float())
    assert packed.stored_bytes == 4 + 4 * 4
