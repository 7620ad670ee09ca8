"""Presets: what a name stands for, what changes it, and what cannot go with it."""

import pytest

from blockwise.cli.commands import compare
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.presets import PRESETS
from devices.errors import InputError


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_configuration_but_not_the_default(name):
    assert isinstance(PRESETS[name], Config)  # made, and so checked
    assert PRESETS[name] != Config()


def test_a_preset_is_what_the_flags_start_from():
    config = compare.parse(["--preset", "local-loss", "--head", "sim", "--epochs", "3"])
    assert (config.network.head, config.training.epochs) == ("sim", 3)
    assert config.network.style == PRESETS["local-loss"].network.style
    assert compare.parse(["--preset=local-loss"]).training == PRESETS["local-loss"].training


def test_the_published_recipe_for_cifar10():
    config = PRESETS["local-loss"]
    training, network = config.training, config.network
    assert (training.optimizer, training.lr, training.weight_decay) == ("adam", 5e-4, 0.0)
    assert (training.epochs, training.batch_size, training.schedule) == (400, 128, "steps")
    assert (network.model, network.width, network.blocks, network.head) == ("vgg8b", 128, "each", "predsim")
    assert (network.activation, network.dropout, network.bias) == ("leaky-relu", 0.2, True)
    assert config.is_float


def test_an_unknown_preset_is_answered_with_the_nearest_one():
    with pytest.raises(InputError, match=r"--preset: got 'local-los'.*did you mean 'local-loss'"):
        compare.parse(["--preset", "local-los"])


def test_a_resumed_run_takes_no_preset(tmp_path):
    with pytest.raises(InputError, match="got --preset local-loss beside it, wanted one of the two"):
        compare.parse(["--resume", str(tmp_path), "--preset", "local-loss"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--activation relo", "activation: got 'relo'.*did you mean 'relu'"),
        ("--init hee", "--init: got 'hee'.*did you mean 'he'"),
        ("--dropout 1", "--dropout: got 1.0, wanted a rate from 0 to below 1"),
        ("--dropout nan", "--dropout: got nan, wanted a rate from 0 to below 1"),
        ("--dropout 0.2 --model resnet20", "--dropout: got 0.2 with resnet20, wanted 0, or a network of"),
        ("--bias --model torchvision:resnet18 --dry-run", "wanted the network as it is"),
        ("--schedule step", "--schedule: got 'step'.*did you mean 'steps'"),
        ("--weight-decay -1", "--weight-decay: got -1.0, wanted a number from 0"),
        (
            "--model plain4 --head pred --regimes niti-local",
            "--head: got one that stands before the max pool of conv1",
        ),
        ("--model plain4 --dropout 0.1 --regimes niti", "a network with channel dropout .conv1.dropout."),
        (
            "--model plain4 --activation leaky-relu --method fp32 --regimes niti",
            "leaky relu .conv1.relu.",
        ),
    ],
)
def test_a_style_that_cannot_be_is_refused_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words) as raised:
        prepare(compare.parse(arguments.split()))
    assert "\n" not in str(raised.value)
