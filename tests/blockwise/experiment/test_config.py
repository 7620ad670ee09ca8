"""The configuration: what is refused, what is derived, what identifies a run."""

from dataclasses import FrozenInstanceError, replace

import pytest

from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    BoardSettings,
    ImageSettings,
    LocalSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.training import DEFAULT_LEARNING_RATE, OPTIMIZERS
from devices.errors import InputError

ONE_EPOCH = TrainingSettings(epochs=1)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Config().network.width = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("group", "settings", "subject"),
    [
        (NetworkSettings, {"model": "x"}, "model"),
        (NetworkSettings, {"width": 0}, "--width"),
        (NetworkSettings, {"head": "x"}, "head"),
        (NetworkSettings, {"head": "lookahead:"}, "--head"),
        (NetworkSettings, {"norm": "x"}, "norm"),
        (NetworkSettings, {"activation": "x"}, "activation"),
        (NetworkSettings, {"dropout": 1.0}, "--dropout"),
        (ImageSettings, {"image_size": 0}, "--image-size"),
        (ImageSettings, {"in_shape": (3, 0, 8)}, "--in-shape"),
        (ImageSettings, {"in_shape": (3, 8, 8), "classes": 1}, "--classes"),
        (QuantizationSettings, {"method": "x"}, "method"),
        (QuantizationSettings, {"weight_bits": 9}, "--weight-bits"),
        (QuantizationSettings, {"activation_bits": 0}, "--activation-bits"),
        (QuantizationSettings, {"residual": "x"}, "--residual"),
        (QuantizationSettings, {"bit_chain": (4, 8)}, "--bit-chain"),
        (TrainingSettings, {"regimes": ()}, "--regimes"),
        (TrainingSettings, {"regimes": ("bp", "bp")}, "--regimes"),
        (TrainingSettings, {"regimes": ("x",)}, "regime"),
        (TrainingSettings, {"lr": float("nan")}, "--lr"),
        (TrainingSettings, {"lr": float("inf")}, "--lr"),
        (TrainingSettings, {"weight_decay": -1.0}, "--weight-decay"),
        (TrainingSettings, {"mu": 99}, "--mu"),
        (TrainingSettings, {"seed": 2**63}, "--seed"),
        (TrainingSettings, {"epochs": 0}, "--epochs"),
        (TrainingSettings, {"batch_size": 0}, "--batch-size"),
        (TrainingSettings, {"micro_batch": 0}, "--micro-batch"),
        (TrainingSettings, {"optimizer": "x"}, "optimizer"),
        (TrainingSettings, {"schedule": "x"}, "--schedule"),
        (TrainingSettings, {"update": "x"}, "--update"),
        (TrainingSettings, {"requantize": "x"}, "--requantize"),
        (TrainingSettings, {"accelerator": "x"}, "--accelerator"),
        (LocalSettings, {"distill": "warm"}, "--distill"),
        (LocalSettings, {"distill": "nan"}, "--distill"),
        (LocalSettings, {"distill": "0"}, "--distill"),
        (LocalSettings, {"distill": "3:1.5"}, "--distill"),
        (LocalSettings, {"distill": "3:"}, "--distill"),
        (LocalSettings, {"skip_heads": 1.0}, "--skip-heads"),
        (LocalSettings, {"skip_heads": -0.1}, "--skip-heads"),
        (BoardSettings, {"reserve_kib": -1}, "--reserve-kib"),
        (Config, {"images": ImageSettings(in_shape=(1, 8, 8))}, "--in-shape"),
        (Config, {"quantization": QuantizationSettings("inq"), "training": ONE_EPOCH}, "--epochs"),
    ],
)  # fmt: skip
def test_nothing_that_cannot_be_is_made_and_the_error_says_what_to_do(group, settings, subject):
    with pytest.raises(InputError) as raised:
        group(**settings)
    assert raised.value.subject == subject
    assert raised.value.wanted
    assert raised.value.do


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_every_width_from_1_to_8_bits_is_valid(bits):
    assert QuantizationSettings(weight_bits=bits, activation_bits=bits).trained_weight_bits == bits


def test_in_float_all_bits_are_32_and_no_others_can_be_asked_for():
    config = Config(quantization=QuantizationSettings("fp32"))
    assert (config.weight_bits, config.activation_bits) == (32, 32)
    with pytest.raises(InputError, match="--weight-bits: got 3, wanted 32 with fp32"):
        Config(quantization=QuantizationSettings("fp32", weight_bits=3))


@pytest.mark.parametrize(
    ("method", "chain", "wanted"),
    [
        ("apot", (32, 8), "wanted 2 to 5 with apot"),
        ("bnn", (32, 2), "wanted 1 with bnn"),
        ("inq", (32, 4, 3), "wanted a method of one stage"),
        ("lsq", (32, 4), "whose end is more than 3 bits, wanted an end at the bits"),
    ],
)
def test_a_chain_has_only_widths_of_its_method(method, chain, wanted):
    with pytest.raises(InputError, match=f"--bit-chain: got .*{wanted}"):
        Config(quantization=QuantizationSettings(method, bit_chain=chain))


def test_a_chain_of_widths_that_the_method_has_is_valid():
    Config(quantization=QuantizationSettings("apot", weight_bits=2, activation_bits=2, bit_chain=(32, 4, 2)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_brings_its_learning_rate_unless_one_is_given(optimizer):
    assert TrainingSettings(optimizer=optimizer).learning_rate == DEFAULT_LEARNING_RATE[optimizer]
    assert Config(training=TrainingSettings(optimizer=optimizer, lr=0.25)).learning_rate == 0.25


def test_the_fingerprint_depends_on_what_is_learnt_and_not_on_where_it_is_shown():
    config, shown = Config(), OutputSettings(json=True, quiet=True)
    assert config.fingerprint("bp") == replace(config, output=shown).fingerprint("bp")
    assert config.fingerprint("bp") != config.fingerprint("local")
    assert config.fingerprint("bp") != Config(training=TrainingSettings(seed=1)).fingerprint("bp")


def test_a_run_is_another_when_the_file_that_says_what_is_trained_says_something_else(tmp_path):
    path = tmp_path / "part.toml"
    found = []
    for share in (0.5, 0.5, 0.25):
        path.write_text(f"weights = {{conv1 = {share}}}")
        found.append(Config(training=TrainingSettings(train=f"sparse:{path}")).fingerprint())
    assert found[0] == found[1] != found[2]
