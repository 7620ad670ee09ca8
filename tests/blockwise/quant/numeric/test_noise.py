"""Noise in training: uniform, new in every step, and the same when a step is repeated or resumed."""

import copy

import pytest
import torch

from blockwise import quant
from blockwise.quant.numeric.noise import Noisy

SHAPE = (8, 4, 3, 3)
noisy = pytest.mark.parametrize("name", ["uniq", "quant-noise"])


def weights() -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


def new(name: str, seed: int = 0) -> Noisy:
    torch.manual_seed(seed)
    quantizer = quant.make(name, 3, "weight", SHAPE)
    assert isinstance(quantizer, Noisy)
    return quantizer.train()


@noisy
def test_noise_is_uniform_and_independent_from_step_to_step(name):
    quantizer, x = new(name), torch.zeros(50_000)
    first, second = quantizer.noise(x), quantizer.noise(x)
    for draw in (first, second):
        assert draw.min() >= 0 and draw.max() < 1
        counts = draw.histc(10, 0, 1)
        assert (counts - 5000).square().sum() / 5000 < 28  # chi square, 9 degrees: 1 in 1000 is above
    assert torch.stack([first, second]).corrcoef()[0, 1].abs() < 0.02  # 4.5 deviations


@noisy
def test_every_training_step_draws_anew(name):
    quantizer, x = new(name), weights()
    assert not torch.equal(quantizer(x), quantizer(x))


@noisy
def test_a_repeated_pass_sees_the_noise_of_the_first_and_the_next_step_goes_on(name):
    quantizer, twin, x = new(name), new(name), weights()
    first, second = twin(x), twin(x)
    assert torch.equal(quantizer(x), first)
    quantizer.tracks = False
    assert torch.equal(quantizer(x), first)
    assert torch.equal(quantizer(x), first)
    quantizer.tracks = True
    assert torch.equal(quantizer(x), second)


@noisy
def test_evaluation_is_without_noise_and_draws_none(name):
    quantizer, twin, x = new(name), new(name), weights()
    assert torch.equal(quantizer.eval()(x), quantizer(x))
    assert torch.equal(quantizer.train()(x), twin(x))


@noisy
def test_a_loaded_or_copied_quantizer_goes_on_with_the_same_noise(name):
    quantizer, loaded, x = new(name), new(name, seed=1), weights()
    for _ in range(3):
        quantizer(x)
    assert not torch.equal(copy.deepcopy(quantizer)(x), loaded(x))
    loaded.load_state_dict(quantizer.state_dict())
    twin = copy.deepcopy(quantizer)
    expected = [quantizer(x) for _ in range(3)]
    for other in (loaded, twin):
        assert all(torch.equal(other(x), y) for y in expected)


@noisy
def test_quantizers_draw_apart_but_the_same_if_seeded_alike(name):
    x = weights()
    torch.manual_seed(5)
    first, second = (quant.make(name, 3, "weight", SHAPE).train() for _ in range(2))
    assert not torch.equal(first(x), second(x))
    assert torch.equal(new(name, 5)(x), new(name, 5)(x))


@noisy
def test_nothing_else_draws_from_it_or_is_disturbed_by_it(name):
    quantizer, x = new(name), weights()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    quantizer(x)
    assert torch.equal(torch.rand(3), expected)


@noisy
def test_meta_tensors_have_a_shape_in_training_as_well(name):
    assert new(name).to("meta")(torch.empty(SHAPE, device="meta")).shape == SHAPE
