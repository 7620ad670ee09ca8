"""Firmware that saves, of the smallest networks on real boards, and its trials with power cuts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.firmware import Firmware
from blockwise.firmware.check.power_cuts import PowerCuts
from blockwise.firmware.check.subject import subject_of
from blockwise.firmware.making import firmware_of, reference_of
from blockwise.firmware.toolchains import ZIG
from blockwise.firmware.written import write

EVERY, STEPS = 2, 7
"""Steps between saves, and of the training: the last one is not saved."""


def prepared(board: str, regime: str, **settings: Any) -> Prepared:
    """On the digits, one at a time."""
    asked = {"device": board, "model": "plain4", "width": 2, "data": "digits", "batch_size": 1, **settings}
    return prepare(config_of({"regimes": (regime,), **asked}))


def saving(board: str, regime: str, every: int = EVERY, **settings: Any) -> Firmware:
    """Firmware that is not written."""
    return replace(firmware_of(prepared(board, regime, **settings), regime), save_every=every)


def power_cuts(
    folder: Path, board: str = "stm32f103", regime: str = "niti4-jump",
    edit: Callable[[str], str] = lambda text: text, **settings: Any,
) -> PowerCuts:  # fmt: skip
    """Ready for trials; ``edit`` plants a fault in persist.c."""
    made = prepared(board, regime, **settings)
    written = write(made, regime, folder / "project", save_every=EVERY)
    persist = written.folder / "persist.c"
    persist.write_text(edit(persist.read_text("utf-8")), "utf-8")
    subject = subject_of(written.firmware, written.folder)
    ZIG.build(subject.project, subject.device, "check", folder / "check.elf")
    reference = reference_of(made, written.firmware, written.folder)
    return PowerCuts(subject, reference, STEPS, EVERY, folder / "check.elf")
