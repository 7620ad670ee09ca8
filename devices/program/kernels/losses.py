"""Cross entropy: probabilities overwrite the logits and become their gradient."""

from typing import TYPE_CHECKING

import torch

from devices.program.execute.frame import Frame

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """(softmax - one-hot) / B, of the mean over B images."""
    logits, labels = frame.values("input")
    p = torch.softmax(logits, 1)
    p[torch.arange(len(p)), labels.long()] -= 1
    frame.put("output", p / machine.images)


def backward(machine: "FloatMachine", frame: Frame) -> None:
    """It is there already."""
    frame.put("input gradient", frame.raw("saved output"))
