"""Flags of ``run.py firmware``: those of the comparison, for one regime, and what is to be done."""

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

from tyro.conf import Fixed, Suppress, arg

from blockwise.cli import flags
from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    BoardSettings,
    ImageSettings,
    LocalSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
    ZerothOrderSettings,
)
from blockwise.firmware.emulators import EMULATORS
from blockwise.firmware.finished import settings_of
from blockwise.firmware.form import REGIMES, check_regime
from blockwise.firmware.toolchains import TOOLCHAINS
from devices.errors import InputError
from devices.program.regimes import LEANEST

DESCRIPTION = (
    "Write a training step as C for the board: no heap, no libc, every tensor at its planned address. With "
    "--check it is built, run in an emulator under the board's exact memory and compared with the simulation "
    "after every step. Exit code 0: written, and equal where that was checked; 1: not equal."
)


@dataclass(frozen=True)
class OneBoard(BoardSettings):
    """The microcontroller."""

    device: Annotated[str, arg(metavar="NAME|PATH.toml", help="Board (see --list-devices) or a profile.")] = (
        BoardSettings.device
    )


@dataclass(frozen=True)
class OneRegime(TrainingSettings):
    """How to train."""

    regimes: Annotated[tuple[str, ...], Fixed, Suppress] = TrainingSettings.regimes
    regime: Annotated[
        str | None,
        arg(
            metavar="REGIME",
            help=f"Which training: one of {', '.join(REGIMES)}.",
            help_behavior_hint=f"(default: {LEANEST}; with --from the run's most accurate)",
        ),
    ] = None


@dataclass(frozen=True)
class WhatToDo:
    """What to write, and whether to check it."""

    out: Annotated[
        Path | None,
        arg(
            metavar="DIR",
            help="Folder for the project.",
            help_behavior_hint="(default: a new one under runs/)",
        ),
    ] = None
    run: Annotated[
        Path | None,
        arg(
            name="from", metavar="RUN", help_behavior_hint="",
            help="Folder of a finished run, whose settings and trained weights the project takes.",
        ),
    ] = None  # fmt: skip
    check: Annotated[
        int | None,
        arg(
            metavar="STEPS", help_behavior_hint="",
            help="Build, emulate and compare so many steps of training on the run's images.",
        ),
    ] = None  # fmt: skip
    save_every: Annotated[
        int | None,
        arg(
            metavar="STEPS", help_behavior_hint="",
            help="Keep the training in two slots of flash at every so many steps: a power cut loses nothing.",
        ),
    ] = None  # fmt: skip
    toolchain: Annotated[str, arg(help=f"Compiler of the check: {' or '.join(TOOLCHAINS)}.")] = "zig"
    emulator: Annotated[str, arg(help=f"Emulator of the check: {' or '.join(EMULATORS)}.")] = "unicorn"
    trace: Annotated[
        bool, arg(help="Also measure the live bytes at every operation, by its loads and stores.")
    ] = False
    json: Annotated[bool, arg(help="Print result.json on stdout and nothing else there.")] = False
    quiet: Annotated[bool, arg(help="No progress and no report, only the verdict.")] = False


@dataclass(frozen=True)
class FirmwareOptions:
    """All flags, in groups."""

    project: WhatToDo = field(default_factory=WhatToDo)
    board: OneBoard = field(default_factory=OneBoard)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    quantization: QuantizationSettings = field(default_factory=QuantizationSettings)
    training: OneRegime = field(default_factory=OneRegime)
    zeroth_order: ZerothOrderSettings = field(default_factory=ZerothOrderSettings)
    local: LocalSettings = field(default_factory=LocalSettings)

    @property
    def regime(self) -> str:
        """As asked for, or the leanest."""
        return self.training.regime or LEANEST

    def config(self, regime: str) -> Config:
        """The configuration of a comparison of this one regime."""
        asked = {f.name: getattr(self.training, f.name) for f in fields(TrainingSettings)}
        training = TrainingSettings(**asked | {"regimes": (regime,)})
        output = OutputSettings(quiet=self.project.quiet, dry_run=self.images.in_shape is not None)
        return Config(
            BoardSettings(self.board.device, self.board.reserve_kib),
            self.network,
            self.images,
            self.quantization,
            training,
            output,
            self.zeroth_order,
            self.local,
        )


def parse(arguments: Sequence[str]) -> FirmwareOptions:
    """What ``arguments`` ask for; with ``--from`` the run's settings are the defaults.

    Raises InputError for what cannot be parsed, and for other settings than those of the run's weights.
    """
    flags.check(arguments)
    folder = _asked(arguments)
    default = FirmwareOptions() if folder is None else _of_run(settings_of(folder))
    options: FirmwareOptions = flags.parse(
        default, arguments, prog="run.py firmware", description=DESCRIPTION
    )
    if options.training.regime is not None:
        check_regime(options.training.regime)
    if folder is not None:
        _check_same(folder, default, options)
    return options


def _of_run(config: Config) -> FirmwareOptions:
    asked = {f.name: getattr(config.training, f.name) for f in fields(TrainingSettings)}
    training = OneRegime(**asked | {"regimes": TrainingSettings.regimes})
    return FirmwareOptions(
        board=OneBoard(config.board.device, config.board.reserve_kib), network=config.network,
        images=config.images, quantization=config.quantization, training=training,
        zeroth_order=config.zeroth_order, local=config.local,
    )  # fmt: skip


def _asked(arguments: Sequence[str]) -> Path | None:
    """The run that the defaults come from."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--from", type=Path, dest="folder")
    with contextlib.suppress(argparse.ArgumentError):
        folder: Path | None = parser.parse_known_args(list(arguments))[0].folder
        return folder
    return None


def _check_same(folder: Path, default: FirmwareOptions, options: FirmwareOptions) -> None:
    """Weights belong to a network, its quantizers and its classes."""
    for group in ("network", "images", "quantization"):
        for setting in fields(getattr(default, group)):
            values = (getattr(getattr(o, group), setting.name) for o in (default, options))
            if len(set(values)) > 1:
                flag = f"--{setting.name.replace('_', '-')}"
                raise InputError(
                    f"--from {folder}", got=f"another {flag} than the run has", wanted="that of its weights",
                    do="leave the flag out",
                )  # fmt: skip
