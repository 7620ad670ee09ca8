"""State that comes and goes: batches, flash, packing, and the inputs of a block behind finished ones."""

from typing import TYPE_CHECKING

import torch

from devices.program.execute.frame import Frame
from devices.program.execute.memory import WORD_BITS
from devices.program.state import AHEAD, ASKED

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def load(machine: "FloatMachine", frame: Frame) -> None:
    """The images and labels of this pass, as bytes."""
    images, labels = machine.batch
    frame.put("images", images[frame.images])
    frame.put("labels", labels[frame.images])


def page_in(machine: "FloatMachine", frame: Frame) -> None:
    """From flash."""
    for name in frame.operation.writes:
        value = machine.initial(name.removesuffix(f".{AHEAD}").removesuffix(f".{ASKED}"))
        assert value is not None
        frame.store(name, value)


def page_out(machine: "FloatMachine", frame: Frame) -> None:
    """To flash: from here on the simulation's end state is read from there."""
    for name in frame.operation.reads:
        machine.flash[name] = frame.memory.load(name)


def deployed(machine: "FloatMachine", frame: Frame) -> None:
    """The packed network is there at the start, and at the end it is what is left."""
    for name in frame.operation.writes:
        value = machine.initial(name)
        frame.store(name, torch.zeros(frame.memory.tensors[name].shape) if value is None else value)
    page_out(machine, frame)


def unpack(machine: "FloatMachine", frame: Frame) -> None:
    """The latent state that a block starts from."""
    page_in(machine, frame)


def pack(machine: "FloatMachine", frame: Frame) -> None:
    """The layer as it is deployed: codes and constants, a norm folded into scale and shift."""
    page_out(machine, frame)
    for name in frame.operation.writes:
        frame.store(name, machine.packed(frame.layer, name, frame))


def gather(machine: "FloatMachine", frame: Frame) -> None:
    """Room for the inputs of a block."""
    for name in frame.operation.writes:
        tensor = frame.memory.tensors[name]
        kind = torch.float32 if tensor.bits == WORD_BITS else torch.int64
        frame.store(name, torch.zeros(tensor.shape, dtype=kind))


def store_input(machine: "FloatMachine", frame: Frame) -> None:
    """One image's input beside the others'."""
    stored = frame.raws("input")
    frame.put("inputs", stored[0] if stored else frame.value("input"))
