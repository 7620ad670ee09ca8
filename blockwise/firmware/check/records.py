"""The records of check.in, as c/check.c reads them, and the state that check.out has behind each."""

import struct
from collections.abc import Sequence

from torch import Tensor

from blockwise.firmware.layout import from_board, images_to_board, labels_to_board
from blockwise.firmware.program import Firmware

STEP, START, STATE, PREDICT, CHECKSUM, BEGIN, END, TENSOR = range(1, 9)
INPUT, OUTPUT = "check.in", "check.out"
RESTORED = "restored.out"
"""The steps that are behind where a program goes on after a power cut; there is none where it begins."""
WORD_BYTES = 4
TOLD = frozenset({STEP, START, STATE, END})
"""Records behind which the whole state is told."""


def _record(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload


def step(firmware: Firmware, rate: int | float, images: Tensor, labels: Tensor) -> bytes:
    """Train on uint8 images (B, C, H, W) and labels (B,); an int is mu, a float the learning rate."""
    bits = firmware.schedule.tensors["batch.labels"].bits
    head = struct.pack("<i" if isinstance(rate, int) else "<f", rate)
    return _record(STEP, head + images_to_board(images) + labels_to_board(labels, bits))


def start(seed: int) -> bytes:
    """Draw first weights."""
    return _record(START, struct.pack("<I", seed & 0xFFFFFFFF))


def state(payload: bytes) -> bytes:
    """Take the whole state."""
    return _record(STATE, payload)


def predict(image: Tensor) -> bytes:
    """The class of one uint8 image (C, H, W)."""
    return _record(PREDICT, images_to_board(image[None]))


def checksum() -> bytes:
    """The checksum of all weights."""
    return _record(CHECKSUM, b"")


def begin(phase: int) -> bytes:
    """A phase begins."""
    return _record(BEGIN, struct.pack("<I", phase))


def end() -> bytes:
    """A phase is over."""
    return _record(END, b"")


def tensor(number: int, payload: bytes) -> bytes:
    """What one tensor of the state is to hold, by its place in it."""
    return _record(TENSOR, struct.pack("<I", number) + payload)


def answers(firmware: Firmware, asked: Sequence[int], payload: bytes) -> list[bytes]:
    """What came back for each record that was asked, by its kind; empty for those that tell nothing.

    Raises ValueError where check.out is shorter or longer than that.
    """
    whole = sum(tensor.bytes for tensor in firmware.resident)
    lengths = {**dict.fromkeys(TOLD, whole), PREDICT: WORD_BYTES, CHECKSUM: WORD_BYTES}
    found, at = [], 0
    for kind in asked:
        length = lengths.get(kind, 0)
        found.append(payload[at : at + length])
        at += length
    if at != len(payload):
        raise ValueError(f"check.out has {len(payload)} bytes, {at} were expected")
    return found


def tensors(firmware: Firmware, payload: bytes, *, integers: bool = True) -> dict[str, Tensor]:
    """A state as the simulation has it: every resident tensor by its name, flat."""
    found, at = {}, 0
    for tensor in firmware.resident:
        piece = payload[at : at + tensor.bytes]
        found[tensor.name] = from_board(firmware, tensor, piece, integers=integers)
        at += tensor.bytes
    return found
