"""The float machine: finds the kernel of each operation, and knows what comes from outside the RAM."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from devices.network import IMAGES, LABELS, Layer
from devices.network.ops import FrozenNorm, MaxPool
from devices.program.execute.frame import Frame, Kernel, Parameters, found_kernel
from devices.program.execute.memory import Misread
from devices.program.kernels import (
    activations,
    affine,
    dropout,
    elementwise,
    forms,
    losses,
    moves,
    norms,
    pools,
    shares,
    updates,
    weighted,
    zeroth_order,
)
from devices.program.kernels.quantization import OnBoard
from devices.program.kernels.updates import Optimizer, Pace, Paces
from devices.program.kernels.zeroth_order import Directions
from devices.program.operation import Operation, Stored
from devices.program.state import FROZEN

FloatKernel = Callable[["FloatMachine", Frame], None]

LAYERS: dict[tuple[str, str], FloatKernel] = {
    ("conv", "forward"): weighted.forward,
    ("conv", "again"): weighted.again,
    ("conv", "backward (input)"): weighted.input_gradient,
    ("conv", "backward (weight)"): weighted.weight_gradient,
    ("conv", "backward (bias)"): weighted.bias_gradient,
    ("linear", "forward"): weighted.forward,
    ("linear", "again"): weighted.again,
    ("linear", "backward (input)"): weighted.input_gradient,
    ("linear", "backward (weight)"): weighted.weight_gradient,
    ("linear", "backward (bias)"): weighted.bias_gradient,
    ("batch_norm", "forward"): norms.forward,
    ("batch_norm", "backward"): norms.backward,
    ("batch_norm_recompute", "forward"): norms.forward,
    ("batch_norm_recompute", "again"): norms.again,
    ("batch_norm_recompute", "backward"): norms.backward,
    ("group_norm", "forward"): norms.forward,
    ("group_norm", "backward"): norms.backward,
    ("frozen_norm", "forward"): norms.forward,
    ("frozen_norm", "backward"): norms.backward,
    ("shifted_norm", "forward"): norms.forward,
    ("shifted_norm", "backward"): norms.backward,
    ("layer_norm", "forward"): norms.forward,
    ("layer_norm", "backward"): norms.backward,
    ("channel_norm", "forward"): norms.forward,
    ("channel_norm", "backward"): norms.backward,
    ("affine", "forward"): affine.forward,
    ("affine", "backward"): affine.backward,
    ("scale", "forward"): elementwise.forward,
    ("scale", "backward"): elementwise.backward,
    ("relu", "forward"): activations.forward,
    ("relu", "backward"): activations.backward,
    ("quantize", "forward"): activations.forward,
    ("quantize", "backward"): activations.backward,
    ("leaky_relu", "forward"): activations.leaky,
    ("leaky_relu", "backward"): activations.leaky_backward,
    ("swish", "forward"): activations.forward,
    ("swish", "backward"): activations.backward,
    ("gelu", "forward"): activations.forward,
    ("gelu", "backward"): activations.backward,
    ("mish", "forward"): activations.forward,
    ("mish", "backward"): activations.backward,
    ("sigmoid", "forward"): activations.gate,
    ("sigmoid", "backward"): activations.gate_backward,
    ("tanh", "forward"): activations.gate,
    ("tanh", "backward"): activations.gate_backward,
    ("elu", "forward"): activations.gate,
    ("elu", "backward"): activations.gate_backward,
    ("softmax", "forward"): activations.softmax,
    ("softmax", "backward"): activations.softmax_backward,
    ("matmul", "forward"): elementwise.forward,
    ("matmul", "backward"): elementwise.matmul_backward,
    ("mul", "forward"): elementwise.forward,
    ("mul", "backward"): elementwise.mul_backward,
    ("cat", "backward"): elementwise.cat_backward,
    ("slice", "backward"): elementwise.backward,
    ("permute", "backward"): elementwise.backward,
    ("expand", "backward"): elementwise.backward,
    ("max_pool", "forward"): pools.max_forward,
    ("max_pool", "backward"): pools.max_backward,
    ("avg_pool", "forward"): elementwise.forward,
    ("avg_pool", "backward"): elementwise.backward,
    ("add", "forward"): elementwise.forward,
    ("pad", "forward"): elementwise.pad_forward,
    ("pad", "backward"): elementwise.backward,
    ("dropout", "forward"): dropout.forward,
    ("dropout", "backward"): dropout.backward,
    ("channel_dropout", "forward"): dropout.forward,
    ("channel_dropout", "backward"): dropout.backward,
    ("shortcut", "forward"): elementwise.forward,
    ("shortcut", "backward"): elementwise.backward,
    ("cross_entropy", "forward"): losses.forward,
    ("cross_entropy", "backward"): losses.backward,
    ("distilled_cross_entropy", "forward"): losses.distilled,
    ("distilled_cross_entropy", "backward"): losses.backward,
    ("similarity_loss", "forward"): losses.similarity,
    ("similarity_loss", "backward"): losses.similarity_backward,
    ("spatial_std", "forward"): losses.spread,
    ("spatial_std", "backward"): losses.spread_backward,
}
"""(kind of layer, action) -> what performs it."""

OTHERS: dict[str, FloatKernel] = {
    "load batch": moves.load,
    "page in": moves.page_in,
    "page out": moves.page_out,
    "deployed network": moves.deployed,
    "unpack": moves.unpack,
    "pack": moves.pack,
    "gather inputs": moves.gather,
    "store input": moves.store_input,
    "begins": moves.page_in,
    "ends": moves.page_out,
    "update": updates.update,
    "kept": updates.keep,
    "zero gradients": updates.zero,
    "copy gradient": updates.copy_gradient,
    "add gradients": updates.copy_gradient,
    "zero differences": updates.zero,
    "perturb forth": zeroth_order.forth,
    "perturb back": zeroth_order.back,
    "restore": zeroth_order.restore,
    "update along directions": zeroth_order.update,
}


@dataclass(eq=False)
class FloatMachine:
    """What a float step starts from. ``start`` is what tensors hold before: latent weights, states, ...

    ``batch`` are uint8 images (B, C, ...) and labels (B,); ``normalize`` makes floats of images.
    """

    start: Mapping[str, Tensor]
    batch: tuple[Tensor, Tensor]
    normalize: Callable[[Tensor], Tensor]
    quantizers: Mapping[str, OnBoard]
    optimizer: Optimizer
    paces: Mapping[str, Pace | Paces]
    forms: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    constraints: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    flash: dict[str, Tensor] = field(default_factory=dict)  # what has left RAM
    directions: Directions | None = None  # of a zeroth-order step
    loss_weights: Mapping[str, float] = field(default_factory=dict)  # of losses, where it is not 1
    draws: dict[str, Tensor] = field(default_factory=dict)
    """Of each dropout what stays, bool (images, *shape) or (images, channels); what is missing is drawn."""
    integers = False

    @property
    def images(self) -> int:
        """Of the whole step."""
        return len(self.batch[1])

    def initial(self, name: str) -> Tensor | None:
        """What a tensor holds before the step."""
        return self.start.get(name)

    def kernel(self, operation: Operation, layer: Layer | None) -> Kernel:
        """Raises Misread where there is none."""
        return found_kernel(self, LAYERS, OTHERS, operation, layer)

    def meaning(self, stored: Stored, value: Tensor, levels: list[Tensor]) -> Tensor:
        """Codes by their levels, images normalised, floats as they are."""
        if stored.maker == IMAGES:
            return self.normalize(value.to(torch.uint8))
        if stored.maker in ("", LABELS):
            return value
        return self.quantizers[stored.maker].decode(value, torch.cat(levels) if levels else None)

    def derived(self, frame: Frame, layer: Layer, inputs: list[Tensor], parameters: Parameters) -> Tensor:
        """Norms apply scale and shift, layers at rest make their sums; all else is linear."""
        if isinstance(layer.op, MaxPool):
            shape = frame.schedule.layers[layer.inputs[0]].shape
            return pools.spread(layer, inputs[0], inputs[1], (len(inputs[0]), *shape))
        if layer.op.accumulates:
            return weighted.derived(self, frame, layer, inputs, parameters)
        if layer.op.normalises:
            return norms.derived(layer, inputs, parameters)
        return elementwise.computed(layer, inputs)

    def float_form(self, layer: Layer, x: Tensor) -> Tensor:
        """An activation that makes no codes."""
        form = self.forms.get(layer.name)
        return form(x) if form is not None else forms.activated(layer.op, x)

    def state_of(self, frame: Frame) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Latent weights, trained values and kept ones of the operation's layer."""
        latent = frame.raw("weight") if frame.has("weight") else torch.empty(0)
        trained = frame.raw("step") if frame.has("step") else None
        return latent, trained, frame.raw("levels") if frame.has("levels") else None

    def pace(self, name: str) -> Pace | Paces:
        """Of a parameter, or of those of which a tensor has the values."""
        return self.paces[name]

    def constrained(self, name: str, value: Tensor) -> Tensor:
        """Back into range, where the method has one."""
        bring = self.constraints.get(name)
        return bring(value) if bring is not None else value

    def as_read(self, name: str, value: Tensor, count: int) -> Tensor:
        """The part of a quantizer's values by which its codes of this step are read."""
        return value[-count:] if name.endswith(".levels") else value[:count]

    def packed(self, layer: Layer, name: str, frame: Frame) -> Tensor:
        """A tensor of the deployed form of a layer."""
        what, state = name[len(layer.name) + 1 :].split(".")[0], _by_role(frame)
        if what == "folded":
            return _folded(layer, state)
        if what == "bias":
            return state["bias"]
        quantizer = self.quantizers.get(layer.name)
        if layer.op.accumulates:
            if quantizer is None:
                return state["weight"]
            shared = layer.is_shared
            latent = shares.joined(layer, state["weight"], None) if shared else state["weight"]
            step = state.get("step", state.get(f"step.{FROZEN}"))
            codes, constants = quantizer.packed(latent, step, state.get("levels"))
            if what != "codes":
                return _given(constants, name)
            return shares.trained(layer, codes.flatten()) if shared else codes
        parts = [state[role] for role in ("step", "levels") if role in state]
        return self.as_read("", torch.cat(parts), frame.memory.tensors[name].elements)


def _given(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise Misread(f"{name} is planned, but the quantizer has no constants")
    return value


def _by_role(frame: Frame) -> dict[str, Tensor]:
    prefix, found = len(frame.operation.layer) + 1, {}
    for name in frame.operation.reads:
        found[name[prefix:]] = frame.memory.load(name)
    return found


def _folded(layer: Layer, state: Mapping[str, Tensor]) -> Tensor:
    """Running statistics and the affine pair as one scale and one shift."""
    if isinstance(layer.op, FrozenNorm):
        return torch.cat([state[what] for what in ("running", "bias") if what in state])
    mean, variance = state["running"].view(2, -1)
    pair = state.get("bias", torch.cat([torch.ones_like(mean), torch.zeros_like(mean)]))
    gamma, beta = pair.view(2, -1)
    scale = gamma * (variance + layer.op.eps).rsqrt()  # type: ignore[attr-defined]
    return torch.cat([scale, beta - mean * scale])
