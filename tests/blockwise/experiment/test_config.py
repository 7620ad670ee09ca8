"""The configuration: what is refused, what is derived, what identifies a run."""

from dataclasses import FrozenInstanceError, replace

import pytest

from blockwise.experiment.config import Config, Network, Output, Quantization, Training
from blockwise.training import DEFAULT_LEARNING_RATE, OPTIMIZERS
from devices.errors import InputError


def test_the_defaults_are_valid():
    Config().validate()


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Config().network.width = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("config", "subject"),
    [
        (Config(network=Network(model="x")), "model"),
        (Config(network=Network(width=0)), "--width"),
        (Config(network=Network(head="lookahead:")), "--head"),
        (Config(quantization=Quantization(method="x")), "method"),
        (Config(quantization=Quantization(weight_bits=9)), "--weight-bits"),
        (Config(quantization=Quantization(activation_bits=0)), "--activation-bits"),
        (Config(training=Training(regimes=())), "--regimes"),
        (Config(training=Training(regimes=("bp", "bp"))), "--regimes"),
        (Config(training=Training(lr=float("nan"))), "--lr"),
        (Config(training=Training(lr=float("inf"))), "--lr"),
        (Config(training=Training(seed=2**63)), "--seed"),
    ],
)
def test_an_error_names_what_is_wrong_and_what_to_do(config, subject):
    with pytest.raises(InputError) as raised:
        config.validate()
    assert raised.value.subject == subject
    assert raised.value.wanted
    assert raised.value.do


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_every_width_from_1_to_8_bits_is_valid(bits):
    Config(quantization=Quantization(weight_bits=bits, activation_bits=bits)).validate()


def test_in_float_all_bits_are_32_and_no_others_can_be_asked_for():
    config = Config(quantization=Quantization("fp32"))
    config.validate()
    assert (config.weight_bits, config.activation_bits) == (32, 32)
    with pytest.raises(InputError, match="--weight-bits: got 3, wanted 32 with fp32"):
        Config(quantization=Quantization("fp32", weight_bits=3)).validate()


@pytest.mark.parametrize(
    ("method", "chain", "wanted"),
    [
        ("apot", (32, 8), "wanted 2 to 5 with apot"),
        ("bnn", (32, 2), "wanted 1 with bnn"),
        ("inq", (32, 4), "wanted a method of one stage"),
    ],
)
def test_a_chain_has_only_widths_of_its_method(method, chain, wanted):
    with pytest.raises(InputError, match=f"--bit-chain: got .*{wanted}"):
        Config(quantization=Quantization(method, bit_chain=chain)).validate()


def test_a_chain_of_widths_that_the_method_has_is_valid():
    Config(
        quantization=Quantization("apot", weight_bits=2, activation_bits=2, bit_chain=(32, 4, 3))
    ).validate()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_brings_its_learning_rate_unless_one_is_given(optimizer):
    assert Config(training=Training(optimizer=optimizer)).learning_rate == DEFAULT_LEARNING_RATE[optimizer]
    assert Config(training=Training(optimizer=optimizer, lr=0.25)).learning_rate == 0.25


def test_the_fingerprint_depends_on_what_is_learnt_and_not_on_where_it_is_shown():
    config = Config()
    assert config.fingerprint("bp") == replace(config, output=Output(json=True, quiet=True)).fingerprint("bp")
    assert config.fingerprint("bp") != config.fingerprint("local")
    assert config.fingerprint("bp") != Config(training=Training(seed=1)).fingerprint("bp")
