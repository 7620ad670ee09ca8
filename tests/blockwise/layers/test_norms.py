"""Each norm against torch's own arithmetic, in the network, in its heads and in the accounting."""

import pytest
import torch
from torch import nn

import devices
from blockwise import models
from blockwise.heads import make
from blockwise.layers.norms import NORMS, ConstantNorm, of_head, replace_norms
from devices.errors import InputError
from devices.network.bits import FIXED_LEVELS
from devices.program.categories import SAVED_ACTIVATIONS

BATCH = 4


def net(norm: str) -> models.Chain:
    torch.manual_seed(0)
    return models.build("resnet20", (3, 16, 16), 10, 8, norm)


def kinds(norm: str) -> set[str]:
    network = net(norm).describe(blocks="stages", head="lookahead:8")
    return {layer.kind for layer in network.all_layers if "norm" in layer.kind}


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("batch", {"batch_norm"}),
        ("batch-recompute", {"batch_norm_recompute"}),
        ("group", {"group_norm"}),
        ("frozen", {"frozen_norm", "group_norm"}),  # local heads are untrained: constants cannot serve them
        ("none", {"group_norm"}),
    ],
)
def test_every_norm_replaces_all_batch_norms_of_network_and_heads(norm, expected):
    assert kinds(norm) == expected


def test_recomputed_batch_norm_gives_the_bits_of_batch_norm():
    x = torch.randn(BATCH, 3, 16, 16)
    assert torch.equal(net("batch").train()(x), net("batch-recompute").train()(x))


@pytest.mark.parametrize("shape", [(6, 5, 4, 4), (6, 5)])
def test_a_frozen_norm_makes_the_first_batch_standard_normal_and_never_changes_again(shape):
    norm, x = ConstantNorm(5), 3 + 2 * torch.randn(shape)
    reference = nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5)
    torch.testing.assert_close(norm(x), reference.train()(x))
    before = norm.state_dict()["scale"].clone()
    other = torch.randn(shape)
    norm(other)
    assert torch.equal(norm.scale, before)
    assert list(norm.parameters()) == []
    again = ConstantNorm(5)
    again.load_state_dict(norm.state_dict())
    assert torch.equal(again(other), norm(other))


@pytest.mark.parametrize("value", [0.0, 0.3, -2.0, 1e4, 1e-20])
def test_a_channel_without_variance_is_only_shifted_by_a_frozen_norm(value):
    x = torch.randn(6, 3)
    x[:, 1] = value
    norm = ConstantNorm(3)
    y = norm(x)
    assert norm.scale[1] == 1
    torch.testing.assert_close(norm.shift[1], torch.tensor(-value))
    torch.testing.assert_close(y[:, [0, 2]], nn.BatchNorm1d(3).train()(x)[:, [0, 2]])


def test_one_image_of_flat_features_does_not_make_a_frozen_norm_an_amplifier():
    norm, x = ConstantNorm(4), torch.randn(1, 4)
    norm(x)
    other = torch.randn(5, 4)
    torch.testing.assert_close(norm(other), other - x)


@pytest.mark.parametrize(("channels", "groups"), [(16, 2), (8, 1), (12, 3), (7, 1), (1, 1)])
def test_group_norm_has_eight_channels_a_group_where_they_divide(channels, groups):
    (norm,) = replace_norms(nn.Sequential(nn.BatchNorm2d(channels)), "group")
    assert (norm.num_groups, norm.num_channels) == (groups, channels)


def test_without_norms_convolutions_get_a_bias_that_starts_at_zero():
    chain = net("none")
    convs = [m for m in chain.modules() if isinstance(m, nn.Conv2d)]
    assert all(torch.equal(c.bias, torch.zeros(c.out_channels)) for c in convs)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in chain.modules())


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_trains_every_parameter(norm):
    chain = net(norm).train()
    chain(torch.randn(BATCH, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in chain.parameters())
    head = make("lookahead:8", (8, 16, 16), norm=norm)
    head(torch.randn(BATCH, 8, 16, 16), torch.arange(BATCH)).backward()
    assert all(p.grad is not None for p in head.parameters())
    assert of_head(norm) in NORMS


def peak(norm: str, batch: int, **kwargs: object) -> devices.Plan:
    return devices.plan(net(norm), "stm32", regime="bp", batch_size=batch, **kwargs)


def test_recomputation_saves_the_normalised_maps_and_costs_their_convolutions_again():
    plain, again = (
        peak(norm, BATCH, weights=FIXED_LEVELS, activations=FIXED_LEVELS)
        for norm in ("batch", "batch-recompute")
    )
    maps = 16 * 16 * 8 * 7 + 8 * 8 * 16 * 6 + 4 * 4 * 32 * 6  # of the 19 norms of 8, 16 and 32 channels
    statistics = (7 * 8 + 6 * 16 + 6 * 32) * 4  # the mean is kept beside 1/std
    saved = [
        sum(t.bytes for t in p.schedule.tensors.values() if t.category == SAVED_ACTIVATIONS)
        for p in (plain, again)
    ]
    assert saved[0] - saved[1] == BATCH * maps * 4 - statistics
    convolutions = sum(x.macs for x in net("batch").describe(blocks="stages", head="gap").layers)
    classifier = 32 * 10
    assert again.schedule.macs - plain.schedule.macs == BATCH * (convolutions - classifier)
    assert again.peak_bytes < plain.peak_bytes


def test_frozen_norms_and_none_keep_nothing_of_the_norm():
    batch = peak("batch", BATCH, weights=FIXED_LEVELS, activations=FIXED_LEVELS).peak_bytes
    for norm in ("frozen", "none"):
        found = peak(norm, BATCH, weights=FIXED_LEVELS, activations=FIXED_LEVELS)
        assert not any("norm" in name and t.category == SAVED_ACTIVATIONS
                       for name, t in found.schedule.tensors.items())  # fmt: skip
        assert found.peak_bytes < batch


def test_group_norm_keeps_one_value_per_group_and_image():
    tensors = peak("group", BATCH).schedule.tensors
    assert tensors["stage3_1.norm1.statistics"].shape == (BATCH * 4,)  # 32 channels in groups of 8


def test_an_unknown_norm_names_the_nearest_match():
    with pytest.raises(InputError, match="did you mean 'group'"):
        models.build("cnn", norm="groups")
