"""Whether a filter's gradient is made of its own weights alone: then it may step before the next one."""

import pytest
import torch

from blockwise import quant

CASES = [
    (name, bits)
    for name, entry in quant.METHODS.items()
    if entry.weight is not None and name != "fp32"
    for bits in entry.bits("weight")
    if bits <= 8
]


def gradient_of_first(quantizer: quant.Quantizer, weights: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(5)  # of methods that draw
    weights = weights.detach().requires_grad_()
    (found,) = torch.autograd.grad(quantizer(weights), weights, g)
    return found[0]


def gradients_by_first(quantizer: quant.Quantizer, weights: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """What the first filter adds to the gradients of trained values (n,)."""
    torch.manual_seed(5)
    trained = [p for p in quantizer.parameters() if p.requires_grad]
    if not trained:
        return torch.zeros(0)
    own = torch.zeros_like(g)
    own[0] = g[0]
    weights = weights.detach().requires_grad_()
    found = torch.autograd.grad(quantizer(weights), trained, own)
    return torch.cat([part.flatten() for part in found])


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_it_is_exactly_where_the_method_says_so(name, bits):
    for shape in ((6, 8, 3, 3), (6, 16)):
        quantizer = quant.make(name, bits, "weight", shape).train()
        generator = torch.Generator().manual_seed(0)
        weights, g = (torch.randn(shape, generator=generator) for _ in range(2))
        quantizer(0.1 * weights)
        quantizer.tracks = False
        before = gradient_of_first(quantizer, 0.1 * weights, g)
        others = weights.clone()
        others[1:] = 3 * torch.randn(shape, generator=generator)[1:]
        elsewhere = g.clone()
        elsewhere[1:] = torch.randn(shape, generator=generator)[1:]
        after = gradient_of_first(quantizer, 0.1 * others, elsewhere)
        alone = torch.allclose(before, after, rtol=1e-6, atol=0)
        added = (gradients_by_first(quantizer, 0.1 * w, g) for w in (weights, others))
        alone = alone and torch.allclose(*added, rtol=1e-5, atol=1e-7)
        assert alone == quantizer.memory(bits).by_filter, shape


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_weights_that_are_said_to_have_codes_of_their_own_keep_them_whatever_the_others_do(name, bits):
    quantizer = quant.make(name, bits, "weight", (6, 16))
    weights = 0.1 * torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    quantizer(weights)
    quantizer.eval()
    others = weights.clone()
    others[:, 8:] *= 7
    same = torch.equal(quantizer(weights)[:, :8], quantizer(others)[:, :8])
    assert same or not quantizer.memory(bits).apart
