"""Float firmware of a configuration, run on the emulated board beside the same C on this computer."""

from pathlib import Path
from typing import Any

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.firmware.arenas import heights_of, memory_map
from blockwise.firmware.check.checked import Checked
from blockwise.firmware.check.checking import check
from blockwise.firmware.check.host import HostReference
from blockwise.firmware.check.subject import Subject
from blockwise.firmware.emit.project import project
from blockwise.firmware.emulators import UNICORN
from blockwise.firmware.float_start import byte_batches, float_firmware
from blockwise.firmware.toolchains import ZIG

EPOCHS = 9


def prepared(regime: str, **settings: Any) -> Prepared:
    return prepare(
        config_of({"regimes": (regime,), "data": "digits", "batch_size": 2, "width": 4, **settings})
    )


def checked(folder: Path, regime: str, steps: int, *, trace: bool = False, **settings: Any) -> Checked:
    """Firmware of a configuration, run beside the host's program."""
    made = prepared(regime, **settings)
    firmware = float_firmware(made, regime)
    project(firmware, folder)
    plan = made.plan(regime)
    starts = [stretch.start or 0 for stretch in firmware.stretches]
    addresses = {name: starts[spot.stretch] + spot.offset for name, spot in firmware.spots.items()}
    memory = memory_map(plan.device, heights_of(plan.placement))
    subject = Subject(plan.device, plan.schedule, memory, addresses, folder)
    reference = HostReference(firmware, folder, byte_batches(made, EPOCHS), lambda done, total: 0.05)
    watched = frozenset(range(steps)) if trace else frozenset({0})
    return check(subject, reference, steps, ZIG, UNICORN, trace=trace, watched=watched)
