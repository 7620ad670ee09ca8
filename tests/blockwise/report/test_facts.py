"""The lines that say what was compared."""

import pytest

from blockwise.experiment.config import Config
from blockwise.experiment.settings import TrainingSettings
from blockwise.report.facts import integers, settings


def lines(*regimes: str, requantize: str = "buffered") -> tuple[str, str]:
    config = Config(training=TrainingSettings(regimes=regimes, requantize=requantize)).learning()
    config |= {"weight_bits": 3, "activation_bits": 3}
    return settings(config), integers(config)


@pytest.mark.parametrize("regimes", [("bp",), ("bp", "niti"), ("niti-local", "local")])
def test_float_settings_are_shown_where_a_regime_is_float(regimes):
    assert lines(*regimes)[0] == ("lsq, 3-bit weights, 3-bit activations, sgd-momentum, batch 16, 5 epochs")


def test_integer_regimes_show_their_own():
    assert lines("niti", "nitro-local") == ("batch 16, 5 epochs", "mu 5, sums buffered")
    assert lines("niti", requantize="twice")[1] == "mu 5, sums computed twice"
    assert (
        lines("niti", requantize="auto")[1] == "mu 5, sums computed twice where their buffers would not fit"
    )
    assert lines("bp")[1] == ""
