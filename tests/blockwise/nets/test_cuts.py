"""Cuts: the named ones by hand, the balanced ones against all possible cuts."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import fitting

from blockwise import models
from blockwise.nets.anatomy import Anatomy, unnamed
from blockwise.nets.cuts import AUTO_BLOCKS, balanced, cut
from devices.errors import InputError
from devices.network import Network
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule

RESNET20, VGG8B, MLP = ("resnet20", 8), ("vgg8b", 8), ("mlp", 8)


def length(start: int, end: int) -> int:
    """The cost of a run of units that all cost the same."""
    return end - start


def names(model: tuple[str, int], blocks: str) -> list[list[str]]:
    """Names of the units, block by block."""
    chain = models.build(*model[:1], (3, 32, 32), 10, model[1])
    groups = cut(chain.stages, blocks, length, chain.unit_names)
    return [[chain.unit_names[i] for i in group] for group in groups]


def all_cuts(units: int, count: int) -> list[tuple[int, ...]]:
    """Starts of every cut into ``count`` blocks in which the last unit is not alone."""
    return [(0, *rest) for rest in combinations(range(1, units - 1), count - 1)]


def costs(starts: tuple[int, ...], units: int, cost) -> list[int]:
    return [cost(a, b) for a, b in zip(starts, (*starts[1:], units), strict=True)]


def test_resnet20_has_three_stages_and_the_stem_and_classifier_go_with_the_outer_ones():
    stages = [[f"stage{s}_{i}" for i in (1, 2, 3)] for s in (1, 2, 3)]
    assert names(RESNET20, "stages") == [["stem", *stages[0]], stages[1], [*stages[2], "classifier"]]


@pytest.mark.parametrize("blocks", ["residual", "layers"])
def test_resnet20_has_ten_blocks_of_the_stem_and_nine_residual_ones(blocks):
    found = names(RESNET20, blocks)
    assert len(found) == 10
    assert found[0] == ["stem"]
    assert found[1:-1] == [[f"stage{1 + i // 3}_{1 + i % 3}"] for i in range(8)]
    assert found[-1] == ["stage3_3", "classifier"]


def test_units_that_are_named_begin_a_block_and_so_does_the_first():
    stages = [[f"stage{s}_{i}" for i in (1, 2, 3)] for s in (1, 2, 3)]
    found = [["stem"], [*stages[0], stages[1][0]], [*stages[1][1:], *stages[2], "classifier"]]
    assert names(RESNET20, "stage1_1,stage2_2") == names(RESNET20, "stem,stage1_1,stage2_2") == found
    assert names(RESNET20, "classifier")[1] == ["classifier"]
    assert len(names(RESNET20, "stage3_1")) == 2


@pytest.mark.parametrize(
    "blocks", ["stage2_1,stage9", "stage9,stage8", "stem,", "stage2_1,stage1_1", "stem,stem"]
)
def test_units_that_are_none_or_out_of_order_are_refused_with_all_that_there_are(blocks):
    with pytest.raises(
        InputError, match=r"--blocks: got .*wanted units in their order, each once: stem, stage1"
    ):
        names(RESNET20, blocks)


def test_vgg8b_has_one_stage_per_resolution():
    assert names(VGG8B, "stages") == [
        ["conv1", "conv2"], ["conv3", "conv4"], ["conv5"], ["conv6"], ["hidden", "classifier"],
    ]  # fmt: skip


def test_vgg8b_has_one_block_per_layer_but_the_classifier():
    found = names(VGG8B, "layers")
    assert found == [[f"conv{i}"] for i in range(1, 7)] + [["hidden", "classifier"]]


def test_each_unit_of_vgg8b_is_a_block_and_the_classifier_too():
    assert names(VGG8B, "each") == [[f"conv{i}"] for i in range(1, 7)] + [["hidden"], ["classifier"]]


@pytest.mark.parametrize("blocks", ["stages", "residual", "layers"])
def test_every_hidden_layer_of_an_mlp_is_a_block(blocks):
    assert names(MLP, blocks) == [["hidden1"], ["hidden2"], ["hidden3", "classifier"]]


@pytest.mark.parametrize("name", models.CATALOGUE)
@pytest.mark.parametrize("blocks", ["stages", "residual", "layers", "auto", "1", "2", "3"])
def test_every_unit_is_in_one_block_in_order_and_the_classifier_is_never_alone(name, blocks):
    stages = models.build(name, fitting(name, (3, 32, 32)), 10, 4).stages
    groups = cut(stages, blocks, length)
    assert [i for group in groups for i in group] == list(range(len(stages)))
    assert len(groups[-1]) > 1


def test_one_block_is_the_whole_network():
    assert cut((0, 0, 1, 1, 2), "1", lambda *_: 5) == ((0, 1, 2, 3, 4),)


def test_as_many_blocks_as_layers_are_the_layers():
    stages = (0, 0, 1, 1, 2)
    assert cut(stages, "4", lambda *_: 5) == cut(stages, "layers", lambda *_: 5)


def test_auto_takes_eight_blocks_or_as_many_as_there_are():
    assert len(cut(range(12), "auto", length)) == AUTO_BLOCKS == 8
    assert len(cut(range(5), "auto", length)) == 4


def test_equal_layers_are_cut_into_equal_blocks():
    groups = cut((0,) * 12, "3", length)
    assert [len(group) for group in groups] == [4, 4, 4]


def test_an_early_large_layer_has_a_block_of_its_own():
    memory = (100, 10, 10, 10, 10, 10)
    assert cut((0,) * 6, "2", lambda start, end: sum(memory[start:end])) == ((0,), (1, 2, 3, 4, 5))


@st.composite
def priced(draw):
    """Units, a number of blocks, and a cost for every run of units."""
    units = draw(st.integers(2, 9))
    count = draw(st.integers(1, units - 1))
    runs = [(a, b) for a in range(units) for b in range(a + 1, units + 1)]
    prices = draw(st.lists(st.integers(0, 30), min_size=len(runs), max_size=len(runs)))
    return units, count, dict(zip(runs, prices, strict=True))


@settings(max_examples=300)
@given(priced())
def test_balanced_blocks_are_the_best_of_all_cuts(case):
    units, count, prices = case

    def cost(start: int, end: int) -> int:
        return prices[start, end]

    found = balanced(units, count, cost)
    assert found in all_cuts(units, count)
    best = min(max(costs(starts, units, cost)) for starts in all_cuts(units, count))
    assert max(costs(found, units, cost)) == best


@settings(max_examples=100)
@given(priced())
def test_more_blocks_of_monotone_cost_never_need_more(case):
    """Where a longer run costs at least what its parts do, one more cut cannot hurt."""
    units, _, prices = case
    weights = [prices[i, i + 1] for i in range(units)]

    def cost(start: int, end: int) -> int:
        return sum(weights[start:end])

    peaks = [max(costs(balanced(units, n, cost), units, cost)) for n in range(1, units)]
    assert peaks == sorted(peaks, reverse=True)


def test_memory_balanced_blocks_of_a_real_network_are_the_best_of_all_cuts():
    """Every cut of the small convolutional network, priced by scheduling each block alone."""
    chain, step = models.build("cnn", (1, 8, 8), 10, 4), Step(batch=4)

    def peak_of(network: Network) -> int:
        peaks, source, shape = [], network.source, network.in_shape
        for block in network.blocks:
            alone = Network(shape, (block,), source)
            peaks.append(Ledger(schedule("local", alone, step)).peak.live_bytes)
            source, shape = block.output, block.layers[-1].shape
        return max(peaks)

    anatomy = Anatomy(chain, "gap")
    for count in (1, 2, 3):
        found = peak_of(chain.describe(blocks=str(count), head="gap", step=step))
        every = []
        for starts in all_cuts(4, count):
            ends = (*starts[1:], 4)
            every.append(tuple(tuple(range(a, b)) for a, b in zip(starts, ends, strict=True)))
        assert found == min(peak_of(anatomy.network(groups)) for groups in every)


@pytest.mark.parametrize("blocks", ["5", "0", "-1", "foo", "2.5", "", " 2", "Stages", "²"])
def test_what_is_no_cut_is_refused_with_what_is(blocks):
    with pytest.raises(
        InputError, match=r"--blocks: got .*stages, residual, layers, each, a number from 1 to 4"
    ):
        cut((0, 0, 1, 1, 2), blocks, lambda *_: 1)


def test_blocks_that_differ_in_names_alone_cost_the_same_and_are_told_to_be_alike():
    anatomy = Anatomy(models.build("resnet20", (1, 8, 8), 10, 4), "lookahead:4")
    alone = {(i, j): anatomy._alone(i, j) for i in range(1, 10) for j in (i + 1, i + 2)}
    peaks = {
        where: Ledger(schedule("local", network, Step(2))).peak_bytes for where, network in alone.items()
    }
    for where, network in alone.items():
        assert Ledger(schedule("local", unnamed(network), Step(2))).peak_bytes == peaks[where]
    assert (
        unnamed(alone[5, 6]) == unnamed(alone[6, 7]) != unnamed(alone[4, 5])
    )  # stage2_1, stage2_2; stage2_0
