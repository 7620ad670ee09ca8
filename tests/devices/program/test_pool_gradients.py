"""Whether a map of the size before a max pool is held for its gradient."""

import pytest

from blockwise import models
from devices.program.operation import Derived
from devices.program.regimes import INTEGER_REGIMES, REGIMES, Step, schedule

GO_BACK = [name for name, regime in REGIMES.items() if regime.goes_back]
INTEGERS_GO_BACK = [name for name, regime in INTEGER_REGIMES.items() if regime.goes_back]
"""Of hybrids those that go back through all of their two blocks."""


def tensors(
    regime: str, model: str = "plain4", norm: str = "none", head: str = "gap", blocks: str = "2"
) -> dict[str, int]:
    """Gradients of maps and their elements, of one image."""
    chain = models.build(model, (3, 32, 32), 10, 16, norm)
    step = Step(4, micro_batch=1, backprop_blocks=2)
    program = schedule(regime, chain.describe(blocks=blocks, head=head), step)
    batch = 1 if regime == "bp-micro" else 4
    return {
        name: t.elements // batch
        for name, t in program.tensors.items()
        if name.split("#")[0].endswith(("relu.gradient", "pool.gradient", "conv.gradient"))
    }


@pytest.mark.parametrize("regime", GO_BACK)
@pytest.mark.parametrize("norm", ["none", "frozen"])
def test_behind_sums_and_constant_norms_the_pooled_gradient_stands_for_that_of_the_map(regime, norm):
    found = tensors(regime, "plain4" if norm == "none" else "cnn", norm)
    assert found
    # the largest pooled map, of conv1, has 16 channels of 16x16 pixels; before its pool it has 32x32
    assert max(found.values()) == 16 * 16 * 16


@pytest.mark.parametrize("regime", INTEGERS_GO_BACK)
def test_so_does_the_pooled_error_of_integer_regimes(regime):
    assert max(tensors(regime).values()) == 16 * 16 * 16


@pytest.mark.parametrize("regime", INTEGERS_GO_BACK)
@pytest.mark.parametrize("twice", [False, True])
def test_all_that_read_an_error_before_a_pool_on_integers_read_the_positions_too(regime, twice):
    chain = models.build("plain4", (3, 32, 32), 10, 16, "none")
    step = Step(4, twice=twice, backprop_blocks=2)
    program = schedule(regime, chain.describe(blocks="2", head="gap"), step)
    pools = [name for name, layer in program.layers.items() if layer.kind == "max_pool"]
    behind = {"conv1.relu": "conv1.pool", "conv1.conv": "conv1.pool"}
    found = [o for o in program.operations if o.layer in behind and o.action.startswith("backward")]
    assert set(behind.values()) <= set(pools)
    assert {o.layer for o in found} == set(behind)
    for operation in found:
        gradient = dict(operation.operands)["gradient"]
        assert isinstance(gradient, Derived)
        assert gradient.layer == behind[operation.layer]
    assert not any(o.layer in pools and o.phase == "backward" for o in program.operations)


@pytest.mark.parametrize("regime", GO_BACK)
def test_a_norm_of_the_batch_needs_the_gradient_of_every_element(regime):
    assert max(tensors(regime, "cnn", "batch").values()) == 16 * 32 * 32


def test_a_head_that_reads_before_the_pool_does_too():
    found = tensors("local", head="pred", blocks="layers")
    assert found["conv1.relu.gradient"] == 16 * 32 * 32


def test_the_weight_gradient_reads_the_pooled_gradient_and_two_bits_for_each_of_its_elements():
    chain = models.build("plain4", (3, 32, 32), 10, 16, "none")
    program = schedule("bp-fused", chain.describe(blocks="1", head="gap"), Step(1))
    operation = next(o for o in program.operations if o.name == "conv1.conv backward (weight)")
    read = sum(program.tensors[n].bytes for n in operation.reads if "gradient" in n or "argmax" in n)
    assert read == 16 * 16 * 16 * 4 + 16 * 16 * 16 * 2 // 8
