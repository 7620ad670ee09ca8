"""A configuration as a command: what is typed gives the configuration again."""

import dataclasses

import pytest

from blockwise.cli.commands.compare import parse
from blockwise.experiment.command import command
from blockwise.experiment.config import Config
from blockwise.experiment.settings import NetworkSettings
from blockwise.nets.usual import OWN

COMMANDS = (
    "",
    "--device stm32f405 --regimes local niti --dry-run",
    "--device stm32 nrf52840 --regimes local --dry-run",
    "--in-shape 3 32 32 --classes 7 --dry-run",
    "--model plain4 --width 24 --bias --dropout 0.1 --lr 0.05 --batch-size 4",
    "--method dorefa --weight-bits 2 --activation-bits 4 --bit-chain 32 4 2 --residual float",
    "--hold-out anna ben --data watch --update fused --compile",
)


@pytest.mark.parametrize("words", COMMANDS)
def test_the_command_of_a_configuration_gives_it_again(words: str) -> None:
    config = parse(words.split())
    assert parse(command(config)) == config
    assert sorted(command(config)) == sorted(words.split())


def test_a_module_given_in_python_has_no_command() -> None:
    config = dataclasses.replace(Config(), network=NetworkSettings(model=OWN))
    assert command(config) == ()
