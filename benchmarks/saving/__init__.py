"""Firmware that saves, of a configuration, built for its board: what benchmarks of power cuts run."""

from pathlib import Path
from typing import Any

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.firmware.check.reference import Reference
from blockwise.firmware.check.subject import Subject, subject_of
from blockwise.firmware.making import reference_of
from blockwise.firmware.toolchains import ZIG
from blockwise.firmware.written import write


def saving(folder: Path, regime: str, every: int, **settings: Any) -> tuple[Subject, Reference, Path]:
    """A project in ``folder`` that saves every so many steps, its check as a program, and what that is told.

    ``settings`` are those of the comparison; by default the digits, one at a time.
    """
    made = prepare(config_of({"regimes": (regime,), "data": "digits", "batch_size": 1, **settings}))
    written = write(made, regime, folder / "project", save_every=every)
    subject = subject_of(written.firmware, written.folder)
    ZIG.build(subject.project, subject.device, "check", folder / "check.elf")
    return subject, reference_of(made, written.firmware, written.folder), folder / "check.elf"
