"""Sizes of local heads, counted by hand."""

import pytest
import torch
from head_inputs import SHAPES, batch
from inner import inner

from blockwise import heads, models
from blockwise.nets.blocks import BlockNet
from blockwise.nets.cuts import cut


def count(name: str, shape: tuple[int, ...], classes: int = 10) -> int:
    return models.count_parameters(heads.make(name, shape, classes))


def blocknet(head: str, groups: tuple[tuple[int, ...], ...] | None = None) -> BlockNet:
    chain = models.build("resnet20")
    return BlockNet(chain, groups or cut(chain.stages, "residual", lambda *_: 0), head)


def head_parameters(net: BlockNet) -> int:
    """Of all heads, and the classifier that is the last block's own."""
    return models.count_parameters(net.heads) + models.count_parameters(net.bodies[-1][-1])


def test_gap_heads_of_resnet20_in_ten_blocks_have_3620_parameters():
    net = blocknet("gap")
    assert len(net) == 10
    # (C + 1) * 10 for C = 16 (4 blocks), 32 (3), 64 (2 and the classifier)
    assert head_parameters(net) == 4 * 170 + 3 * 330 + 2 * 650 + 650 == 3620


def test_lookahead_heads_of_resnet20_in_ten_blocks_have_506468_parameters():
    # 9 C 64 + 9 64 64 + norms 2 * 128 + classifier 650
    by_channels = {c: 9 * c * 64 + 36_864 + 256 + 650 for c in (16, 32, 64)}
    assert {c: count("lookahead", (c, 8, 8)) for c in by_channels} == by_channels
    expected = 4 * by_channels[16] + 3 * by_channels[32] + 2 * by_channels[64] + 650
    assert head_parameters(blocknet("lookahead")) == expected == 506_468


def test_lookahead_heads_of_resnet20_in_four_blocks_have_160040_parameters():
    groups = ((0, 1, 2), (3, 4), (5, 6), (7, 8, 9, 10))  # stem + 2, 2, 2, 3 residual blocks
    net = blocknet("lookahead", groups)
    assert head_parameters(net) == 46_986 + 2 * 56_202 + 650 == 160_040


def test_a_blocks_own_classifier_of_650_needs_no_head():
    net = blocknet("gap")
    assert models.count_parameters(net.heads[-1]) == 0
    assert models.count_parameters(net.bodies[-1][-1]) == 64 * 10 + 10


@pytest.mark.parametrize(
    ("shape", "features"),
    [
        ((16, 32, 32), 16 * 8 * 8),  # 16*16*16 = 4096 is more than 2048
        ((32, 16, 16), 32 * 8 * 8),
        ((64, 8, 8), 64 * 4 * 4),
        ((128, 4, 4), 128 * 4 * 4),
        ((8, 16, 16), 8 * 16 * 16),  # 2048 exactly: not pooled
        ((3, 5, 7), 3 * 5 * 7),
        ((512, 2, 2), 512 * 2 * 2),
        ((4096, 2, 2), 4096),  # one value per channel is the least
        ((4, 1, 1), 4),
        ((20,), 20),
        ((5000,), 5000),
    ],
    ids=str,
)
def test_pooled_pred_reads_the_largest_halved_map_of_at_most_2048_features(shape, features):
    assert count("pred-pooled", shape) == 10 * features + 10


@pytest.mark.parametrize("name", ["pred", "pred-pooled", "predsim", "predsim-pooled", "predsim-lean"])
def test_the_weights_of_pred_start_at_zero(name):
    for shape in SHAPES:
        with inner(shape=shape):
            head = heads.make(name, shape, 10)
            linear = (head.pred if name.startswith("predsim") else head).classify.linear
            assert not linear.weight.any()
            logits = head.logits(batch(shape)[0])
            assert torch.equal(logits, linear.bias.expand(6, 10))


def test_sim_is_a_convolution_without_bias_at_full_resolution():
    assert count("sim", (16, 32, 32)) == 9 * 16 * 16
    assert count("sim", (20,)) == 20 * 20


def test_predsim_is_pred_and_sim():
    for shape in SHAPES:
        assert count("predsim", shape) == count("pred", shape) + count("sim", shape)
        assert count("predsim-pooled", shape) == count("pred-pooled", shape) + count("sim-pooled", shape)


def test_lean_predsim_reads_4x4_maps_through_a_1x1_convolution():
    assert count("predsim-lean", (16, 32, 32)) == 16 * 16 + 10 * 16 * 4 * 4 + 10
    assert count("predsim-lean", (512, 2, 2)) == 512 * 512 + 10 * 2048 + 10


def test_the_width_of_a_lookahead_head_follows_the_colon():
    # 9 16 32 + 9 32 32 + 4 * 32 + 33 * 10
    assert count("lookahead:32", (16, 32, 32)) == 4608 + 9216 + 128 + 330
    assert count("lookahead:64", (16, 32, 32)) == count("lookahead", (16, 32, 32))
    assert models.count_parameters(heads.make("lookahead", (16, 8, 8), width=32)) == 4608 + 9216 + 458


def test_a_lookahead_head_has_as_many_convolutions_as_stand_behind_the_width():
    first, further = 9 * 16 * 32 + 2 * 32, 9 * 32 * 32 + 2 * 32
    for depth in (1, 2, 3, 4):
        assert count(f"lookahead:32x{depth}", (16, 32, 32)) == first + (depth - 1) * further + 330
    assert list(heads.make("lookahead:4x2", (2, 8, 8)).state_dict()) == list(
        heads.make("lookahead:4", (2, 8, 8)).state_dict()
    )


def test_a_lookahead_head_reads_a_map_of_as_many_places_a_side_as_stand_behind_the_depth():
    x = torch.ones(1, 2, 32, 24)
    made = {side: heads.make(f"lookahead:4x2x{side}", (2, 32, 24)).classify for side in (8, 16, 64)}
    read = {side: tuple(layers.pool(x).shape[2:]) for side, layers in made.items()}
    assert read == {8: (8, 8), 16: (16, 16), 64: (32, 24)}
    assert tuple(made[16][:2](x).shape) == (1, 4, 8, 8)  # behind the stride of 2
    assert count("lookahead:4x2x16", (20,)) == count("lookahead:4x2", (20,))


def test_a_lookahead_head_of_flat_features_has_as_many_linear_layers():
    assert count("lookahead:32", (20,)) == 20 * 32 + 2 * 32 + 330
    assert count("lookahead:32x1", (20,)) == 210
    assert count("lookahead:32x3", (20,)) == 20 * 32 + 32 * 32 + 4 * 32 + 330
