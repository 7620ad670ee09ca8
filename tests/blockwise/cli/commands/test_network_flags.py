"""Flags that several commands have are the same in each."""

from typing import get_type_hints

import pytest

from blockwise.cli.commands.adapt import AdaptOptions
from blockwise.cli.commands.fit import FitOptions
from blockwise.experiment.settings import NetworkSettings


@pytest.mark.parametrize("flag", ["model", "width"])
def test_the_network_is_named_alike_in_every_command(flag):
    ours, *others = (
        get_type_hints(options, include_extras=True)[flag]
        for options in (NetworkSettings, FitOptions, AdaptOptions)
    )
    for other in others:
        assert other.__origin__ == ours.__origin__
        assert other.__metadata__[0].metavar == ours.__metadata__[0].metavar
        assert other.__metadata__[0].help.startswith(ours.__metadata__[0].help)
