"""One step of each phase of a float training by the C, beside PyTorch's, of a configuration."""

import tempfile
from pathlib import Path

from blockwise.experiment.prepared import Prepared
from blockwise.firmware.check.agreement import Agreement
from blockwise.firmware.check.batches import run_batches
from blockwise.firmware.check.float_training import AnyUpdater, FloatTraining
from blockwise.firmware.check.one_step import BEFORE, OneStep
from blockwise.firmware.check.told import telling
from blockwise.firmware.emit.project import project
from blockwise.firmware.finished import Weights
from blockwise.firmware.float_start import highest_rate, start_of, updater_of
from blockwise.firmware.program import Firmware
from blockwise.firmware.toolchains import host
from blockwise.nets.blocks import BlockNet
from blockwise.training import float_regime
from devices.program.regimes import find

SHARE = 0.1
"""Of the highest learning rate: a training of few steps has not come to more."""


def agreement_of(prepared: Prepared, firmware: Firmware, weights: Weights | None = None) -> Agreement:
    """Of a float regime; integers are compared with the simulation bit by bit.

    Raises InputError without a compiler for this computer, BuildError where the program does not come about.
    """
    telling_too = telling(firmware)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(telling_too, folder / "project")
        program = host.build(folder / "project", "check", folder / "check")
        training = _training(prepared, firmware, weights)
        before = 0 if find(firmware.regime).perturbs else BEFORE  # directions are drawn by the step's number
        return OneStep(telling_too, program, training).agreement(run_batches(prepared), before)


def _training(prepared: Prepared, firmware: Firmware, weights: Weights | None) -> FloatTraining:
    chain, net = start_of(prepared, firmware.regime, None if weights is None else weights.load)
    settings, rate = prepared.config.training, SHARE * highest_rate(prepared, firmware.regime)

    def updater(net: BlockNet) -> AnyUpdater:
        return updater_of(prepared, net, firmware.regime, rate)

    told = prepared.config.local.distillation
    procedure = float_regime(firmware.regime, settings.micro_batch, told)
    return FloatTraining(
        chain, net, firmware.schedule.layers, procedure, updater, settings.optimizer,
        prepared.dataset.normalize, rate,
    )  # fmt: skip
