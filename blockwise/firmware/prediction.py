"""Prediction on the board: one image forward, in bytes that no weights take."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from blockwise.firmware.float_facts import FloatFacts
from blockwise.firmware.program import Firmware, Spot
from devices.memory.arena import buffers_of, pack
from devices.program.inference import integer_inference
from devices.program.integer import FORMS
from devices.program.regimes import find
from devices.program.schedule import Schedule

ALIGNMENT = 8


def prediction(firmware: Firmware) -> Firmware | None:
    """The forward pass of one image through the trained weights, placed; None where it finds no room.

    Its tensors lie in the longest stretch of the plan's RAM between what outlives a step, so prediction
    costs no RAM of its own. Sums are buffered where that fits, else made twice: the result is the same.
    """
    stretch, start, size = max(_gaps(firmware), key=lambda gap: gap[2])
    for schedule in _schedules(firmware):
        offsets = _packed(schedule, firmware)
        if all(offset + schedule.tensors[name].bytes <= size for name, offset in offsets.items()):
            spots = {name: Spot(stretch, start + offset) for name, offset in offsets.items()}
            return replace(firmware, schedule=schedule, spots={**firmware.spots, **spots}, batch=1)
    return None


def _schedules(firmware: Firmware) -> Iterator[Schedule]:
    """In the order in which they are tried."""
    if isinstance(firmware.arithmetic, FloatFacts):
        if firmware.arithmetic.prediction is not None:
            yield firmware.arithmetic.prediction
        return
    form = FORMS[find(firmware.regime).arithmetic]
    for twice in (False, True):
        yield integer_inference(firmware.network, form, twice=twice)


def _packed(schedule: Schedule, firmware: Firmware) -> Mapping[str, int]:
    """Offsets of all that is not resident."""
    buffers = buffers_of(schedule, ALIGNMENT)
    return pack([b for b in buffers if not schedule.tensors[b.name].resident], ALIGNMENT).offsets


def _gaps(firmware: Firmware) -> Iterator[tuple[int, int, int]]:
    """Stretch, start and size of what is free between what training leaves."""
    for number, stretch in enumerate(firmware.stretches):
        spots = ((firmware.spots[t.name], t.bytes) for t in firmware.left)
        taken = sorted((spot.offset, spot.offset + size) for spot, size in spots if spot.stretch == number)
        start = 0
        for first, end in (*taken, (stretch.height, stretch.height)):
            yield number, start, first - start
            start = -(-end // ALIGNMENT) * ALIGNMENT
