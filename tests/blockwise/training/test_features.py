"""Features of finished blocks are kept for the next one, in as few bytes as they take."""

import pytest
import torch
from small_cnn import OPTIONS, build, same

from blockwise.data import Split
from blockwise.training import REGIMES, Run, features
from blockwise.training.features import cache_features, pays


def test_cached_features_are_the_features_to_the_bit_in_one_byte_each(digits):
    net = build().eval()
    cache = cache_features(net, 2, digits.train, 32, digits.normalize)
    index = torch.tensor([5, 0, 99])
    x = digits.normalize(digits.train.images[:32])
    assert cache.codes.dtype == torch.uint8
    assert len(cache.codebook) <= 8
    assert torch.equal(cache.take(torch.arange(32)), net.run(x, 0, 2))
    assert cache.take(index).shape == (3, *net.run(x, 0, 2).shape[1:])


def test_features_in_float_are_cached_as_floats(digits):
    net = build("fp32").eval()
    cache = cache_features(net, 1, digits.train, 32, digits.normalize)
    x = digits.normalize(digits.train.images[:32])
    assert cache.codebook is None
    assert torch.equal(cache.take(torch.arange(32)), net.run(x, 0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fp32", "lsq", "bnn", "quant-noise", "uniq"])
def test_features_cached_or_not_the_training_ends_with_the_same_bits(digits, monkeypatch, method):
    ends = []
    for limit in (0, 1 << 30):
        monkeypatch.setattr(features, "LARGEST_BYTES", limit)
        run = Run(build(method), digits, REGIMES["local-resident"], OPTIONS)
        run.train()
        ends.append(run.net.state_dict())
    assert same(*ends)


def test_zeros_of_either_sign_are_cached_apart():
    net, images = build("fp32").eval(), torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    values = torch.tensor([0.0, -0.0, 1.0, -1.0]).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    net.bodies[0] = torch.nn.Identity()
    cache = cache_features(net, 1, Split(images, torch.arange(4)), 3, lambda x: values[: len(x)])
    assert torch.equal(cache.take(torch.arange(3)).view(torch.int32), values[:3].view(torch.int32))
    assert len(cache.codebook) == 3


@pytest.mark.slow
def test_whether_features_are_cached_follows_from_sizes_alone(digits, monkeypatch):
    """By hand: 4 channels of 4x4 floats behind block 1 and its pool."""
    per_image = 4 * 4 * 4 * features.BYTES_WHILE_CODING
    most = features.LARGEST_BYTES // per_image
    for count, expected in ((most, True), (most + 1, False)):
        monkeypatch.setattr(Split, "__len__", lambda _, count=count: count)
        assert pays(build().eval(), 1, digits.train, 2, augmented=False) is expected


def test_a_cache_pays_only_for_later_blocks_that_see_the_same_images_again(digits):
    net = build()
    assert pays(net, 1, digits.train, 2, augmented=False)
    assert not pays(net, 0, digits.train, 2, augmented=False)
    assert not pays(net, 1, digits.train, 1, augmented=False)
    assert not pays(net, 1, digits.train, 2, augmented=True)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("values", [300, 3])
def test_features_come_back_in_the_bits_that_they_had_in_bf16_as_well(kind, values):
    """As ``--precision bf16`` hands them on; in one byte each where they are few, else as they are."""
    net = build("fp32").eval()
    net.bodies[0] = torch.nn.Identity()
    made = (torch.arange(5 * 9 * 9) % values).view(5, 1, 9, 9).to(kind) / 7
    split, done = Split(torch.zeros(5, 1, 9, 9, dtype=torch.uint8), torch.arange(5)), iter(made.split(5))
    cache = cache_features(net, 1, split, 5, lambda _: next(done))
    assert (cache.codebook is None) == (values > 256)
    assert cache.take(torch.arange(5)).dtype == kind
    assert torch.equal(cache.take(torch.tensor([3, 0])), made[[3, 0]])


def test_whether_it_pays_sets_no_constants_of_quantizers_that_have_none_yet(digits):
    """A part of a network that is trained may stand behind blocks that have seen no image."""
    net = build("lsq")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert pays(net.eval(), 2, digits.train, 3, augmented=False)
    assert same(before, net.state_dict())
