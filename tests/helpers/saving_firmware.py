"""Firmware that saves, of the smallest network on real boards, and its trials with power cuts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from firmware_boards import firmware_on

from blockwise.firmware import project
from blockwise.firmware.check.power_cuts import PowerCuts
from blockwise.firmware.check.subject import subject_of
from blockwise.firmware.program import Firmware
from blockwise.firmware.toolchains import ZIG

EVERY, STEPS = 2, 7
"""Steps between saves, and of the training: the last one is not saved."""


def saving(board: str, regime: str, every: int = EVERY, width: int = 2) -> Firmware:
    """On the digits."""
    return replace(firmware_on(board, regime, width=width)[0], save_every=every)


def power_cuts(
    folder: Path, board: str = "stm32f103", regime: str = "niti4-jump",
    edit: Callable[[str], str] = lambda text: text,
) -> PowerCuts:  # fmt: skip
    """Ready for trials; ``edit`` plants a fault in persist.c."""
    firmware, training = firmware_on(board, regime, width=2)
    firmware = replace(firmware, save_every=EVERY)
    training.firmware = firmware
    project(firmware, folder / "project")
    path = folder / "project" / "persist.c"
    text = path.read_text()
    path.write_text(edit(text))
    subject = subject_of(firmware, folder / "project")
    ZIG.build(subject.project, subject.device, "check", folder / "check.elf")
    return PowerCuts(subject, training, STEPS, EVERY, folder / "check.elf")
