"""From a configuration to its firmware, and to what that is checked against."""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from blockwise.experiment.prepared import Prepared
from blockwise.firmware.check.batches import run_batches
from blockwise.firmware.check.host import HostReference
from blockwise.firmware.check.integers import IntegerTraining
from blockwise.firmware.check.reference import Reference
from blockwise.firmware.finished import Weights
from blockwise.firmware.float_facts import without_form
from blockwise.firmware.float_start import float_firmware, highest_rate
from blockwise.firmware.form import check_alignment, check_regime, check_views
from blockwise.firmware.inputs import scaling_note
from blockwise.firmware.integer_facts import state_of
from blockwise.firmware.prediction import prediction
from blockwise.firmware.program import Firmware, of_plan
from blockwise.integer.net import IntegerNet
from blockwise.training import INTEGER_REGIMES
from blockwise.training.schedules import SCHEDULES
from devices.errors import InputError
from devices.program.integer import integer_network
from devices.program.regimes import find

PREDICTED = 32
"""Test images whose classes a check compares behind its last step."""


def firmware_of(prepared: Prepared, regime: str, weights: Weights | None = None) -> Firmware:
    """The step of ``regime`` on the board, from the seed or from the weights of a run.

    Raises InputError for what has no C form, and for a plan that does not fit the board.
    """
    check_regime(regime)
    check_alignment(prepared.device)
    check_views(prepared.network)
    made = _made(prepared, regime, weights)
    return replace(made, notes={**made.notes, **scaling_note(prepared.dataset)})


def _made(prepared: Prepared, regime: str, weights: Weights | None) -> Firmware:
    if find(regime).is_integer:
        return _of_integers(prepared, regime, weights)
    if prepared.step(regime).skip_heads:
        raise without_form("--skip-heads", "a step that skips blocks by chance", "0", "say --skip-heads 0")
    if not len(prepared.dataset.train):
        raise InputError(
            "--in-shape", got=f"no images, under {regime}",
            wanted="images: by the first ones quantizers are set",
            do="name --data, or choose an integer regime",
        )  # fmt: skip
    if weights is None and prepared.config.stages.last:
        raise without_form(
            "--bit-chain", "a training in stages", "one stage", "leave it out, or finish it first"
        )
    return float_firmware(prepared, regime, None if weights is None else weights.load)


def reference_of(
    prepared: Prepared, firmware: Firmware, project: Path, weights: Weights | None = None
) -> Reference:
    """The same training here, on the run's images in its order: the simulation's, or the same C."""
    if find(firmware.regime).is_integer:
        net = _net(prepared, firmware.regime, weights)
        procedure = INTEGER_REGIMES[firmware.regime]
        return IntegerTraining(firmware, net, procedure, run_batches(prepared), _singles(prepared, firmware))
    highest = highest_rate(prepared, firmware.regime)
    factor = SCHEDULES[prepared.config.training.schedule]

    def rate(done: int, total: int) -> float:
        return highest * factor(done, total)

    return HostReference(firmware, project, run_batches(prepared), rate, _singles(prepared, firmware))


def _singles(prepared: Prepared, firmware: Firmware) -> Tensor | None:
    """Test images to predict, where the program can."""
    return prepared.dataset.test.images[:PREDICTED] if prediction(firmware) is not None else None


def reference_words(regime: str) -> str:
    """What :func:`reference_of` gives, in words."""
    return "the simulation" if find(regime).is_integer else "the same C on this computer"


def _of_integers(prepared: Prepared, regime: str, weights: Weights | None) -> Firmware:
    net = _net(prepared, regime, weights)
    network, seed = integer_network(prepared.network), prepared.config.training.seed
    told = prepared.config.zeroth_order.perturbation if find(regime).perturbs else None
    every = prepared.config.training.jump_every if find(regime).jumps else 1
    made = of_plan(prepared.plan_of_last_stage(regime), network, net, seed, told, every)
    given = weights is not None or prepared.is_given
    if not given:
        return made
    state = _state(made, net)
    return replace(made, given=state, first={name: state[name] for name in sorted(made.brought)})


def _net(prepared: Prepared, regime: str, weights: Weights | None) -> IntegerNet:
    net = prepared.build(regime)
    assert isinstance(net, IntegerNet)
    net.mu = prepared.config.training.mu
    if weights is not None:
        weights.load(net)
    return net


def _state(firmware: Firmware, net: IntegerNet) -> dict[str, Tensor]:
    """What the firmware keeps, as the network has it."""
    start = state_of(net, firmware.network, firmware.schedule)
    return {tensor.name: start[tensor.name] for tensor in firmware.resident}
