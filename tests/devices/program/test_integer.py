"""Peaks of integer regimes, counted by hand on three layers, and what holds for every form."""

from dataclasses import replace
from itertools import combinations

import pytest
from tiny import NETWORK

from devices.network import Block, Layer, Network
from devices.network.ops import Linear, MaxPool
from devices.program.categories import CATEGORIES, LATENT_WEIGHTS, OPTIMIZER_STATE, WORKING_TENSORS
from devices.program.integer import FORMS, is_buffer_of_sums
from devices.program.ledger import Ledger
from devices.program.regimes import INTEGER_REGIMES, Step, schedule
from devices.program.regimes.integer import IntegerBuilder
from devices.program.regimes.local import steps_of_blocks
from devices.program.regimes.zeroth_order import DIFFERENCES
from devices.program.schedule import Schedule


def without_norms(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    sources = {x.name: x.inputs[0] for x in layers if x.kind == "batch_norm"}
    kept = (x for x in layers if x.kind != "batch_norm")
    return tuple(replace(x, inputs=tuple(sources.get(i, i) for i in x.inputs)) for x in kept)


PLAIN = Network(
    NETWORK.in_shape, tuple(Block(b.name, without_norms(b.layers), b.head) for b in NETWORK.blocks)
)

# Weights: conv1 36, conv2 144, linear 192 = 372 bytes; the head of A has 12 more. Biases are left out.
# A map is 64 elements: 256 bytes of sums, 64 of 8-bit codes or errors, 32 of 4-bit codes, 8 of a mask;
# an image is 16 bytes, the error of the logits 3.

# niti, batch 4: linear's input error is requantized. Per image: image 16, mask 8 and codes 64 of relu1,
# mask 8 and codes 64 of relu2, error of the logits 3, the error made of sums 64, where the first of these 256
# wait, and the other 192.
# Batch 1: at linear's weight gradient, 192 sums of 4 bytes, and all of that but the sums of the map.
GLOBAL = 16 + 8 + 64 + 8 + 64 + 3 + 64
# niti-local, block B: of A only the codes of relu1 remain, its input.
LOCAL = 64 + 8 + 64 + 3 + 64
# nitro-local, block B: weights of 4 bytes, 2 bits remembered by relu2, an error of 4 bytes, and no sums.
NITRO = 64 + 16 + 64 + 3 + 256
SHIFTED = [r for r in INTEGER_REGIMES if r != "nitro-local"]
BY_HAND = {
    ("niti", 1): 372 + 768 + GLOBAL,
    ("niti", 4): 372 + 4 * (GLOBAL + 192),
    ("niti-local", 1): 384 + 768 + LOCAL,
    ("niti-local", 4): 384 + 4 * (LOCAL + 192),
    ("niti4", 4): 372 + 4 * (GLOBAL - 32 + 192),
    ("niti4-local", 4): 384 + 4 * (LOCAL - 32 + 192),
    # conv2 has 4 bits, and a generator of 4 bytes
    ("niti4-jump", 4): 372 - 72 + 4 + 4 * (GLOBAL - 32 + 192),
    ("niti4-jump-local", 4): 384 - 72 + 4 + 4 * (LOCAL - 32 + 192),
    # the head of A is gone; the seed that it was drawn from takes 4 bytes
    ("niti4-jump-resident", 4): 372 + 4 - 72 + 4 + 4 * (LOCAL - 32 + 192),
    ("nitro-local", 1): 4 * 384 + NITRO,
    ("nitro-local", 4): 4 * 384 + 4 * NITRO,
}


# The same behind a pool of 2x2 in block A: maps of 16 elements from there on, linear reads 16 values.
# Weights: conv1 36, conv2 144, linear 48, head 12 = 240.
POOLED_MAP = (4, 2, 2)

# niti-local, all sums made twice: at the pool of A. Image 16 and label 1, mask of relu1 8, its codes 64,
# pooled 16, positions 4. (Going back would take 125 if the pool's error were spread over a map of its own:
# image, label, mask, positions, what B reads, the pooled error 16, the map 64.)
POOLED_LOCAL = 16 + 1 + 8 + 64 + 16 + 4
# nitro-local, when the head's error arrives: image 16 and label 1, two bits of relu1's elements 16, positions
# 4, what B reads 16, the errors of the means 4 x 4 and of the pooled map 16 x 4; relu1 and conv1 read the
# last one by the positions.
POOLED_NITRO = 16 + 1 + 16 + 4 + 16 + 16 + 64


def pooled(network: Network) -> Network:
    """With a pool behind relu1."""
    a, b = network.blocks
    small = {name: POOLED_MAP for name in ("conv2", "relu2")} | {"flatten": (16,)}

    def behind(layer: Layer) -> Layer:
        inputs = tuple("pool1" if name == "relu1" else name for name in layer.inputs)
        op = Linear(16, 3) if layer.name == "linear" else layer.op
        return replace(layer, op=op, inputs=inputs, shape=small.get(layer.name, layer.shape))

    pool = Layer("pool1", MaxPool.square(), ("relu1",), POOLED_MAP)
    blocks = (
        Block(a.name, (*a.layers, pool), tuple(map(behind, a.head))),
        Block(b.name, tuple(map(behind, b.layers)), b.head),
    )
    return Network(network.in_shape, blocks)


def ledger(regime: str, batch: int, *, twice: bool = False, network: Network = PLAIN) -> Ledger:
    return Ledger(schedule(regime, network, Step(batch, twice=twice)), alignment=1)


@pytest.mark.parametrize(("regime", "batch"), BY_HAND)
def test_the_peak_equals_the_sum_made_by_hand(regime, batch):
    assert ledger(regime, batch).peak_bytes == BY_HAND[regime, batch]


@pytest.mark.parametrize("regime", ["niti4-jump", "niti4-jump-local", "niti4-jump-resident"])
def test_gradients_that_wait_take_four_bytes_a_state_and_their_count_four_more(regime):
    """Block B, where the peak is, has all states that there are: those of conv2."""
    found = Ledger(schedule(regime, PLAIN, Step(4, jump_every=8)), alignment=1)
    assert found.peak_bytes == BY_HAND[regime, 4] + 4 * 144 + 4
    assert found.peak.by_category["weight gradients"] == 4 * 144


@pytest.mark.parametrize("batch", [1, 4])
def test_sums_that_are_computed_twice_need_no_room(batch):
    assert ledger("niti", batch, twice=True).peak_bytes == 372 + batch * GLOBAL
    assert ledger("niti-local", batch, twice=True).peak_bytes == 384 + batch * LOCAL


@pytest.mark.parametrize("batch", [1, 4])
def test_an_error_before_a_pool_is_read_by_the_positions_and_needs_no_room(batch):
    niti = ledger("niti-local", batch, twice=True, network=pooled(PLAIN))
    assert niti.peak_bytes == 240 + batch * POOLED_LOCAL
    assert niti.peak.operation.name == "pool1 forward"
    nitro = ledger("nitro-local", batch, network=pooled(PLAIN))
    assert nitro.peak_bytes == 4 * 240 + batch * POOLED_NITRO
    assert nitro.peak.operation.name == "gap backward"


@pytest.mark.parametrize("regime", SHIFTED)
def test_twice_is_twice_the_products_and_never_more_memory(regime):
    once, twice = ledger(regime, 4), ledger(regime, 4, twice=True)
    assert twice.schedule.macs == 2 * once.schedule.macs
    assert twice.peak_bytes < once.peak_bytes


def test_sums_that_are_scaled_as_they_are_made_neither_wait_nor_are_made_again():
    once, twice = (ledger("nitro-local", 4, twice=twice) for twice in (False, True))
    assert (once.peak_bytes, once.schedule.macs) == (twice.peak_bytes, twice.schedule.macs)
    assert once.schedule.macs == ledger("niti-local", 4).schedule.macs
    tensors = once.schedule.tensors
    assert not any(t.category == "weight gradients" for t in tensors.values())
    assert not any(t.bits == 32 and t.name.endswith(".sums") for t in tensors.values())


@pytest.mark.parametrize("regime", SHIFTED)
@pytest.mark.parametrize("twice", [False, True])
def test_there_is_no_latent_weight_and_no_optimizer_state_but_the_generators_of_jumps(regime, twice):
    found = ledger(regime, 4, twice=twice)
    generators = [t for t in found.schedule.tensors.values() if t.category == OPTIMIZER_STATE]
    drawn = ["conv2.generator", *(["heads.seed"] if regime == "niti4-jump-resident" else [])]
    assert [t.name for t in generators] == (drawn if "jump" in regime else [])
    for moment in found.timeline:
        assert sum(moment.by_category[c] for c in CATEGORIES) == moment.live_bytes
        assert not moment.by_category[LATENT_WEIGHTS]
        assert moment.by_category[OPTIMIZER_STATE] == 4 * len(generators)
    known = {*(t.name for t in generators), DIFFERENCES}
    sums = [t for t in found.schedule.tensors.values() if t.bits == 32 and t.name not in known]
    assert bool(sums) != twice
    # they live until the largest of them is known, for two operations: they are no scratch
    assert all(t.category in (WORKING_TENSORS, "weight gradients") for t in sums)


def choices(regime: str, batch: int) -> list[tuple[int, int]]:
    """Peak and multiply-accumulates of every choice of sums that are made twice."""
    step = Step(batch, alignment=8)
    form, local = FORMS[regime.removesuffix("-local")], regime.endswith("-local")

    def build(twice: frozenset[str]) -> Schedule:
        maker = IntegerBuilder(PLAIN, step, form, twice)
        if local:
            return steps_of_blocks(maker, fused=True)
        layers = maker.train_all()
        maker.load()
        maker.lowering.forward(layers)
        maker.lowering.backward(layers, fused=True)
        return maker.finish()

    names = sorted(t.name for t in build(frozenset()).tensors.values() if is_buffer_of_sums(t))
    subsets = (frozenset(c) for n in range(len(names) + 1) for c in combinations(names, n))
    return [(Ledger(s).peak_bytes, s.macs) for s in map(build, subsets)]


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["niti", "niti4-jump", "niti-local"])
@pytest.mark.parametrize("batch", [1, 4])
def test_the_chosen_sums_are_the_least_work_within_any_limit_of_all_choices(regime, batch):
    every = choices(regime, batch)
    lowest = min(peak for peak, _ in every)
    for limit in sorted({peak + d for peak, _ in every for d in (-1, 0)}):
        found = schedule(regime, PLAIN, Step(batch, limit_bytes=limit, by_tensor=True))
        peak, macs = Ledger(found).peak_bytes, found.macs
        within = max(limit, lowest)  # a limit that nothing meets: as low as it gets
        assert peak <= within
        assert macs == min(m for p, m in every if p <= within), limit


def test_without_a_limit_the_chosen_sums_give_the_lowest_peak_by_the_least_work():
    every = choices("niti", 4)
    found = schedule("niti", PLAIN, Step(4, by_tensor=True))
    assert (Ledger(found).peak_bytes, found.macs) == min(every)
