"""The setup: which head is chosen, and that plan and network agree."""

import pytest

from blockwise.config import Board, Config, Network, Quantization, Training
from blockwise.describe import Anatomy
from blockwise.models import CATALOGUE, count_parameters
from blockwise.setup import HEAD_CANDIDATES, LEANEST, Setup
from devices.errors import InputError
from devices.regimes import Step


def setup(board: str = "stm32", batch: int = 16, **network: object) -> Setup:
    settings = {"model": "cnn", "width": 4} | network
    return Setup.of(Config(Board(board), Network(**settings), training=Training(batch_size=batch)))


def test_the_head_is_the_widest_that_fits_and_every_wider_one_does_not():
    chosen = setup(model="resnet20", width=8)
    wider = HEAD_CANDIDATES[: HEAD_CANDIDATES.index(chosen.head)]
    assert chosen.plan(LEANEST).fits
    assert wider
    assert not any(setup(model="resnet20", width=8, head=head).plan(LEANEST).fits for head in wider)


def test_where_no_head_fits_the_first_one_is_reported():
    chosen = setup("stm32f103", model="resnet20", width=64)
    assert chosen.head == HEAD_CANDIDATES[0]
    assert not chosen.plan(LEANEST).fits


@pytest.mark.parametrize("model", CATALOGUE)
@pytest.mark.parametrize("head", ["gap", "lookahead:8", "predsim"])
def test_the_plan_counts_the_parameters_of_the_network_that_is_trained(model, head):
    chosen = setup(model=model, head=head, blocks="stages")
    net = chosen.build()
    assert [block.name for block in chosen.network.blocks] == list(net.names)
    for block, body, local in zip(chosen.network.blocks, net.bodies, net.heads, strict=True):
        planned = sum(layer.weights + layer.biases for layer in block.layers)
        steps = sum(p.numel() for name, p in body.named_parameters() if "quantizer" in name or "step" in name)
        assert planned == count_parameters(body) - steps
        assert sum(layer.weights + layer.biases for layer in block.head) == count_parameters(local)


def test_units_traced_once_serve_every_head():
    chain = setup().chain()
    first = Anatomy(chain, "gap")
    second = first.with_head("lookahead:8")
    fresh = Anatomy(chain, "lookahead:8")
    groups = second.cut("2", Step())
    assert second.units is first.units
    assert groups == fresh.cut("2", Step())
    assert second.network(groups) == fresh.network(groups)
    assert first.head == "gap"
    assert first.network(groups) == Anatomy(chain, "gap").network(groups)


def test_two_builds_of_a_seed_are_the_same_network():
    chosen = setup()
    one, two = chosen.build().state_dict(), chosen.build().state_dict()
    assert all(one[name].equal(two[name]) for name in one)


def test_a_single_image_is_enough_where_nothing_compares_images():
    assert setup(batch=1, head="gap", model="cnn").plan("local", 1).peak_bytes > 0


@pytest.mark.parametrize(("model", "head"), [("cnn", "sim"), ("cnn", "predsim"), ("mlp", "gap")])
def test_a_single_image_is_refused_where_images_are_compared(model, head):
    with pytest.raises(InputError, match="at least 2"):
        setup(batch=1, head=head, model=model)


def test_float_networks_are_planned_at_32_bits():
    config = Config(network=Network("cnn", 4), quantization=Quantization("fp32"))
    bits = Setup.of(config).step("bp").bits
    assert (bits.weight, bits.activation) == (32, 32)
