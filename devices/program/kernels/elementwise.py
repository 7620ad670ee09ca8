"""Layers without state that are linear in their input: means, sums, shortcuts, views; and their gradients."""

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from devices.network import Layer
from devices.network.ops import Add, Shortcut, View
from devices.program.execute.frame import Frame
from devices.program.kernels import pools
from devices.program.kernels.pullback import pulled

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """Of a layer that has to be stored."""
    frame.put("output", computed(frame.layer, frame.values("input")))


def backward(machine: "FloatMachine", frame: Frame) -> None:
    """The gradient of the only input."""
    shape = frame.memory.tensors[frame.result("input gradient")].shape
    found = pulled(lambda x: computed(frame.layer, [x]), shape, frame.raw("gradient"))
    frame.put("input gradient", found)


def computed(layer: Layer, inputs: list[Tensor]) -> Tensor:
    """What the layer makes of its inputs."""
    first, op = inputs[0], layer.op
    if isinstance(op, Add):
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
        return total
    if isinstance(op, View):
        return first.reshape(len(first), *layer.shape)
    if isinstance(op, Shortcut):
        taken = first[:, :, :: op.stride, :: op.stride]
        return F.pad(taken, (0, 0, 0, 0, op.channels_before, op.channels_behind))
    return pools.mean(op, first)
