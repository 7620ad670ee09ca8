"""The lines that say what was compared."""

from typing import Any

import pytest

from blockwise.experiment.config import Config
from blockwise.experiment.settings import TrainingSettings
from blockwise.report.facts import integers, part, settings, together, zeroth_order


def lines(*regimes: str, **others: Any) -> tuple[str, str]:
    config = Config(training=TrainingSettings(regimes=regimes, **others)).learning()
    config |= {"weight_bits": 3, "activation_bits": 3}
    return settings(config), integers(config)


@pytest.mark.parametrize("regimes", [("bp",), ("bp", "niti"), ("niti-local", "local")])
def test_float_settings_are_shown_where_a_regime_is_float(regimes):
    assert lines(*regimes)[0] == ("lsq, 3-bit weights, 3-bit activations, sgd-momentum, batch 16, 5 epochs")


def test_integer_regimes_show_their_own():
    assert lines("niti", "nitro-local") == ("batch 16, 5 epochs", "mu 5, sums buffered")
    assert lines("nitro-local")[1] == "mu 5"
    assert lines("niti-zo")[1] == "sums buffered"
    assert lines("niti4", "niti4-jump", jump_every=8)[1] == "mu 5, sums buffered, a jump in 8 batches"
    assert lines("niti", requantize="twice")[1] == "mu 5, sums computed twice"
    assert (
        lines("niti", requantize="auto")[1] == "mu 5, sums computed twice where their buffers would not fit"
    )
    assert lines("bp")[1] == ""


def test_zeroth_order_tells_its_own_settings_and_no_optimizer():
    config = Config().learning() | {"regimes": ("zo",), "zo_directions": 3, "zo_eps": 0.01, "zo_lr": 0.005}
    assert zeroth_order(config) == "3 directions a step, 0.01 to either side, peak learning rate 0.005"
    assert "sgd" not in settings(config)
    both = config | {"regimes": ("zo-hybrid", "niti-zo"), "zo_range": 7, "zo_mu": 2, "zo_directions": 1}
    told = zeroth_order(both)
    assert told.startswith("1 direction a step, 0.01") and told.endswith("go back through the last block")
    assert "on integers up to 7 units to either side, mu 2" in told
    assert "sgd-momentum" in settings(both)
    assert zeroth_order(config | {"regimes": ("bp",)}) == ""
    assert zeroth_order({"regimes": ("zo",)}) == ""  # a result of before


def test_what_blocks_do_that_learn_together_is_told_where_some_do():
    config = Config().learning()
    assert together(config) == together({"regimes": ("local",)}) == ""  # nothing; a result of before
    told = config | {"distill": "3:0.3", "skip_heads": 0.25}
    assert (
        together(told) == "taught by the last block (distill 3:0.3), each but the last skips 25% of the steps"
    )
    assert together(told | {"regimes": ("bp", "local-resident")}) == ""


def test_what_of_the_network_is_trained_is_told_where_that_is_not_all():
    def told(**training: str) -> str:
        return part(Config(training=TrainingSettings(**training)).learning())

    assert told() == ""
    assert told(train="last:2") == "last:2; the rest is packed in RAM"
    assert told(train="head", frozen="flash") == "head; the rest is read in place from flash"
