"""One step of each phase by the C of a configuration, beside PyTorch's."""

from dataclasses import replace

import pytest
from tiers import shown
from torch import nn

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.firmware.beside_pytorch import agreement_of
from blockwise.firmware.making import firmware_of

SETTINGS = {"data": "digits", "batch_size": 4, "width": 4, "device": "stm32", "model": "cnn", "method": "lsq"}


def made(regime, **changes):
    prepared = prepare(config_of({"regimes": (regime,), **SETTINGS, **changes}))
    return prepared, firmware_of(prepared, regime)


@pytest.mark.slow
def test_each_block_is_stepped_behind_finished_ones_of_pytorch():
    """Of a block that is trained, and of those before it, all codes of a batch of four are compared."""
    prepared, firmware = made("local-resident")
    found = agreement_of(prepared, firmware)
    assert [phase.block for phase in found.phases] == [*prepared.build("local-resident").names]
    first, second = 4 * 4 * 8 * 8, 4 * 8 * 4 * 4
    assert [phase.codes for phase in found.phases[:2]] == [first, first + second]
    assert found.wrong == () and all(0 < phase.share < 1e-5 for phase in found.phases)


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["bp", "local"])
@pytest.mark.parametrize("method", shown(["fp32", "lsq"], "lsq"))
def test_so_are_all_blocks_at_once(regime, method):
    found = agreement_of(*made(regime, method=method))
    (phase,) = found.phases
    assert found.wrong == () and 0 < phase.share < 1e-5
    assert (phase.codes > 0) == (method == "lsq")


class Flat(nn.Sequential):
    """An activation that a flatten stands before, and one at all only if asked for."""

    def __init__(self) -> None:
        conv, pool = nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2)
        super().__init__(conv, pool, nn.Flatten(), nn.LeakyReLU(), nn.Linear(64, 10))


class Linear(nn.Sequential):
    """Without any activation."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 10))


@pytest.mark.slow
@pytest.mark.parametrize(("network", "codes"), [(Flat, 4 * 64), (Linear, 0)])
def test_so_are_flattened_activations_and_networks_without_any(network, codes):
    own = {"model": f"{__file__}:{network.__name__}", "width": None, "norm": "none"}
    method = "lsq" if codes else "fp32"
    (phase,) = (found := agreement_of(*made("bp", method=method, **own))).phases
    assert found.wrong == () and (phase.codes, phase.flips) == (codes, 0)


@pytest.mark.slow
def test_another_momentum_than_the_simulation_has_is_beyond_the_limit():
    prepared, firmware = made("bp", model="plain4", method="fp32")
    other = replace(firmware, arithmetic=replace(firmware.arithmetic, momentum=0.89))
    found = agreement_of(prepared, other)
    assert found.worst.share > 1e-3 and "one step of all blocks is" in found.wrong[0]
