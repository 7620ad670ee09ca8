"""Losses: cross entropy, whose probabilities become the error of the logits, and similarity matching.

A block's loss may be one of two that are added (predsim), or have a weight in the run: its error does then.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from devices.network.ops import DistilledCrossEntropy, SimilarityLoss, WeightedSum
from devices.program.execute.frame import Frame
from devices.program.kernels import pools, zeroth_order

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine

EPSILON = 1e-8
CONSTANT_ROW = 1e-5
"""As the similarity head has them: a row that deviates less from its mean resembles nothing."""


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """(softmax - one-hot) / B, of the mean over B images; their sum goes where a program wants it."""
    logits, labels = frame.values("input")
    zeroth_order.tell(machine, frame, F.cross_entropy(logits, labels.long(), reduction="none"))
    frame.put("output", _weight(machine, frame) * _error(logits, labels) / machine.images)


def distilled(machine: "FloatMachine", frame: Frame) -> None:
    """The same beside T (softmax(logits / T) - softmax(answer / T)) / B."""
    logits, labels, answer = frame.values("input")
    op = frame.layer.op
    assert isinstance(op, DistilledCrossEntropy)
    own, told = (torch.softmax(x / op.temperature, 1) for x in (logits, answer))
    error = (1 - op.weight) * _error(logits, labels) + op.weight * op.temperature * (own - told)
    frame.put("output", _weight(machine, frame) * error / machine.images)


def _error(logits: Tensor, labels: Tensor) -> Tensor:
    """softmax - one-hot."""
    p = torch.softmax(logits, 1)
    p[torch.arange(len(p)), labels.long()] -= 1
    return p


def backward(machine: "FloatMachine", frame: Frame) -> None:
    """It is there already."""
    frame.put("input gradient", frame.raw("saved output"))


def similarity(machine: "FloatMachine", frame: Frame) -> None:
    """How far similarities of samples are from those of labels (B, B), and the mean of the squares."""
    x, labels = frame.values("input")
    op = frame.layer.op
    assert isinstance(op, SimilarityLoss)
    wanted = similarities(F.one_hot(labels.long(), op.classes).float())
    apart = similarities(x.flatten(1)) - wanted
    frame.put("output", apart.square().mean())
    frame.put("similarities", apart)


def similarity_backward(machine: "FloatMachine", frame: Frame) -> None:
    """From the differences back through the similarities of what was read."""
    x, apart = frame.values("saved input")[0], frame.raw("saved similarities")
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        g = _weight(machine, frame) * 2 * apart / apart.numel()
        (found,) = torch.autograd.grad(similarities(x.flatten(1)), x, g)
    frame.put("input gradient", found)


def similarities(x: Tensor) -> Tensor:
    """Cosines (B, B) of the centred rows of x (B, n), in [-1, 1]; a constant row resembles nothing."""
    centred = x - x.mean(1, keepdim=True)
    norm = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    alive = norm > CONSTANT_ROW * torch.linalg.vector_norm(x, dim=1, keepdim=True)
    unit = torch.where(alive, centred, 0) / torch.where(alive, norm + EPSILON, 1)
    return (unit @ unit.T).clamp(-1, 1)


def spread(machine: "FloatMachine", frame: Frame) -> None:
    """The standard deviation of each channel over space."""
    (x,) = frame.values("input")
    frame.put("output", _deviation(x))


def spread_backward(machine: "FloatMachine", frame: Frame) -> None:
    """Of a channel that is constant there is none."""
    x, g = frame.value("saved input"), frame.value("gradient")
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(_deviation(x), x, g.view(x.shape[:2]))
    pools.put_gradient(frame, found)


def _deviation(x: Tensor) -> Tensor:
    return x.std(dim=tuple(range(2, x.ndim)))


def _weight(machine: "FloatMachine", frame: Frame) -> float:
    """Of this loss in that of its block, and of the block's in the run."""
    name, own = frame.layer.name, 1.0
    for layer in frame.schedule.layers.values():
        if isinstance(layer.op, WeightedSum) and name in layer.inputs:
            own = layer.op.beta if layer.inputs[0] == name else 1 - layer.op.beta
    return own * machine.loss_weights.get(name, 1.0)
