"""Firmware of a configuration, written to a folder, and what of it there is to tell."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from blockwise.experiment.described import config_of, data_of, device_of, model_of
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.provenance import environment
from blockwise.firmware.arenas import MemoryMap
from blockwise.firmware.beside_pytorch import agreement_of
from blockwise.firmware.check.checking import check
from blockwise.firmware.check.progress import Tell, silent
from blockwise.firmware.check.subject import subject_of
from blockwise.firmware.emit.project import project
from blockwise.firmware.emulators import Emulator
from blockwise.firmware.finished import Weights
from blockwise.firmware.flash import check_flash, flash_estimate
from blockwise.firmware.making import firmware_of, reference_of, reference_words
from blockwise.firmware.memory import memory_of
from blockwise.firmware.program import Firmware
from blockwise.firmware.result import FirmwareResult, PlannedRun
from blockwise.firmware.toolchains import Toolchain
from devices.program.regimes import find

COMPARING = "comparing with PyTorch"
"""What is done behind a check of floats."""


@dataclass(frozen=True, eq=False)
class Written:
    """A project in ``folder``, and its result so far."""

    prepared: Prepared
    firmware: Firmware
    folder: Path
    result: FirmwareResult
    weights: Weights | None

    def checked(
        self, steps: int, toolchain: Toolchain, emulator: Emulator, *, trace: bool = False,
        tell: Tell = silent,
    ) -> FirmwareResult:  # fmt: skip
        """The result with what a check found; floats are held against PyTorch's too.

        Raises InputError and BuildError, as the check does.
        """
        started = time.perf_counter()
        subject = subject_of(self.firmware, self.folder)
        reference = reference_of(self.prepared, self.firmware, self.folder, self.weights)
        every = self.firmware.jump_every
        found = check(subject, reference, steps, toolchain, emulator, trace=trace, every=every, tell=tell)
        if not find(self.firmware.regime).is_integer:
            tell(COMPARING, 0)
            found = replace(found, agreement=agreement_of(self.prepared, self.firmware, self.weights))
        seconds = self.result.seconds + time.perf_counter() - started
        return replace(self.result, checked=found, seconds=seconds)


def write(
    prepared: Prepared, regime: str, out: Path, weights: Weights | None = None, *, save_every: int = 0
) -> Written:
    """Write the project of one step under ``regime``, or nothing at all; it saves if ``save_every`` is not 0.

    Raises InputError for what has no C form or does not fit the board, and for a folder that holds something
    else; WriteError on a full disk.
    """
    started = time.perf_counter()
    firmware = replace(firmware_of(prepared, regime, weights), save_every=save_every)
    check_flash(firmware)
    memory = memory_of(firmware)
    written = project(firmware, out)
    result = _result(prepared, firmware, memory, weights, written, started)
    return Written(prepared, firmware, out, result, weights)


def _result(
    prepared: Prepared, firmware: Firmware, memory: MemoryMap, weights: Weights | None,
    files: Mapping[str, str], started: float,
) -> FirmwareResult:  # fmt: skip
    plan = prepared.plan_of_last_stage(firmware.regime)
    return FirmwareResult(
        device=device_of(prepared),
        model=model_of(prepared),
        data=data_of(prepared),
        regime=firmware.regime,
        batch_size=firmware.batch,
        seed=firmware.seed,
        weights_from="" if weights is None else str(weights.folder),
        phases=len(firmware.phases),
        operations=len(firmware.schedule.operations),
        macs_per_step=firmware.schedule.macs,
        peak_bytes=plan.peak_bytes,
        ram=tuple(PlannedRun(a.run.name, a.start, a.size_bytes, a.run.size_bytes) for a in memory.arrays),
        flash_estimate=flash_estimate(firmware),
        flash_room=memory.flash.size_bytes,
        predicts="blockwise_predict(" in files["blockwise.h"],
        project=tuple(sorted(files)),
        config=config_of(prepared),
        environment=environment(prepared.accelerator),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.perf_counter() - started,
        reference=reference_words(firmware.regime),
    )
