"""Convolutions and linear layers: filter by filter from latent weights or packed codes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from devices.network import Layer
from devices.network.ops import Conv, Linear
from devices.program.execute.frame import Frame, Parameters
from devices.program.kernels import shares
from devices.program.kernels.pullback import pulled

if TYPE_CHECKING:
    from devices.program.kernels.machine import FloatMachine


SHARE = ("weight", "codes", "rest", "step")
"""The roles of what weights are made of, of which a share is trained."""


def forward(machine: "FloatMachine", frame: Frame) -> None:
    """Sums of products, into an accumulator of 32 bits."""
    (x,) = frame.values("input")
    if frame.makes("part"):
        frame.put("part", frame.raw("input")[:, : frame.layer.trained.inputs])
    out = _product(frame.layer, x, _weights(machine, frame, moves=frame.makes("levels")))
    frame.put("output", _biased(out, frame.raw("bias") if frame.has("bias") else None))


def again(machine: "FloatMachine", frame: Frame) -> None:
    """The accumulator of a norm that did not keep it."""
    out = _product(frame.layer, frame.value("saved input"), _weights(machine, frame))
    frame.put("output", _biased(out, frame.raw("bias") if frame.has("bias") else None))


def input_gradient(machine: "FloatMachine", frame: Frame) -> None:
    """The error of the input, from the old weights."""
    shape = frame.memory.tensors[frame.result("input gradient")].shape
    weights = _weights(machine, frame)
    g = frame.value("gradient")
    found = pulled(lambda x: _product(frame.layer, x, weights), shape, g)
    frame.put("input gradient", found)


def weight_gradient(machine: "FloatMachine", frame: Frame) -> None:
    """Gradients of latent weights, biases and the quantizer's values."""
    (x,), g = frame.values("saved input"), frame.value("gradient")
    found = _of_products(frame, x, g)
    if frame.makes("bias gradient"):
        bias_gradient(machine, frame)
    if frame.makes("weight"):
        _step_by_filter(machine, frame, found.flatten(1))
        return
    found, step = _to_latent(machine, frame, found.flatten(), frame.raw("weight"))
    frame.put("weight gradient", found)
    if step is not None:
        frame.put("step gradient", step)


def bias_gradient(machine: "FloatMachine", frame: Frame) -> None:
    """Of a layer whose weights are frozen."""
    maps = _maps(frame, frame.value("gradient"))
    frame.put("bias gradient", maps.sum([d for d in range(maps.ndim) if d != 1]))


def _of_products(frame: Frame, x: Tensor, g: Tensor) -> Tensor:
    """The gradient of the weights that are multiplied, as far as they are trained: outputs first."""
    layer = frame.layer
    if layer.is_shared:
        part = shares.part_of(layer)
        x, g = x[:, : _read(part)], _maps(frame, g)[:, : layer.trained_outputs]
        layer = part
    return pulled(lambda w: _product(layer, x, w), shares.shape_of(layer), g)


def _read(layer: Layer) -> int:
    op = layer.op
    assert isinstance(op, Conv | Linear)
    return op.in_channels if isinstance(op, Conv) else op.in_features


def _to_latent(
    machine: "FloatMachine", frame: Frame, gradient: Tensor, latent: Tensor
) -> tuple[Tensor, Tensor | None]:
    """From the gradient of quantized weights to that of latent ones, and of the quantizer's values."""
    quantizer, layer = machine.quantizers.get(frame.operation.layer), frame.layer
    if quantizer is None:
        return gradient, None
    _, trained, kept = machine.state_of(frame)
    if not layer.is_shared:
        return quantizer.weight_gradient(gradient, latent, trained, kept)
    gradient, latent = (shares.joined(layer, x, None) for x in (gradient, latent))
    return shares.trained(layer, quantizer.weight_gradient(gradient, latent, trained, kept)[0]), None


def _step_by_filter(machine: "FloatMachine", frame: Frame, gradients: Tensor) -> None:
    """Each filter takes its step as soon as its gradient is there: no other filter reads it any more."""
    (room,), name = frame.operation.scratch, f"{frame.operation.layer}.weight"
    targets = [target for role, target in frame.operation.results if role == "state"]
    whole, total = torch.zeros_like(gradients), torch.zeros(())
    for i, row in enumerate(gradients):
        whole[i] = row
        found, step = _to_latent(machine, frame, whole.flatten(), frame.memory.load(name))
        total = total + step if step is not None else total
        frame.store(room, found.view(gradients.shape)[i])
        whole[i] = 0
        value, states = frame.memory.load(name), [frame.memory.load(target) for target in targets]
        here = slice(i * len(row), (i + 1) * len(row))
        mine, moved = machine.optimizer.step(
            value[here], frame.memory.load(room), [state[here] for state in states], machine.pace(name)
        )
        value[here] = mine
        frame.store(name, value)
        for target, state, new in zip(targets, states, moved, strict=True):
            state[here] = new
            frame.store(target, state)
    frame.store(name, machine.constrained(name, frame.memory.load(name)))
    if frame.makes("step gradient"):
        frame.put("step gradient", total)


def derived(
    machine: "FloatMachine", frame: Frame, layer: Layer, inputs: list[Tensor], parameters: Parameters
) -> Tensor:
    """Of a layer whose sums its reader takes one by one: at rest, or where nothing is kept."""
    if layer.is_shared:
        weights = _of_share(machine, frame, layer, parameters)
    elif "codes" in parameters:
        weights = _deployed(machine, frame, layer, parameters["codes"], parameters.get("step"))
    else:
        state = parameters["weight"], parameters.get("step"), parameters.get("levels")
        weights, _ = _from_latent(machine, frame, layer, state)
    return _biased(_product(layer, inputs[0], weights), parameters.get("bias"))


def _weights(machine: "FloatMachine", frame: Frame, *, moves: bool = False) -> Tensor:
    """The weights that are multiplied; each filter's codes pass through the scratch."""
    layer = frame.layer
    if layer.is_shared:
        state = {role: frame.raw(role) for role in SHARE if frame.has(role)}
        return _of_share(machine, frame, layer, state)
    if frame.has("codes"):
        constants = frame.raw("step") if frame.has("step") else None
        return _deployed(machine, frame, layer, frame.raw("codes"), constants)
    moves = moves and not frame.turn
    weights, kept = _from_latent(machine, frame, layer, machine.state_of(frame), moves=moves)
    if moves and kept is not None:
        frame.put("levels", kept)
    return weights


def _from_latent(
    machine: "FloatMachine", frame: Frame, layer: Layer, state: tuple[Tensor, Tensor | None, Tensor | None],
    *, moves: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Quantized weights of a layer's ``state``, and what its quantizer keeps behind them."""
    (latent, trained, kept), quantizer = state, machine.quantizers.get(layer.name)
    if quantizer is None:
        return latent.view(shares.shape_of(layer)), None
    if not frame.operation.trains:
        codes, constants = quantizer.packed(latent, trained, kept)
        return _deployed(machine, frame, layer, codes, constants), None
    if layer.weights_of:
        found = quantizer.weights_ahead(latent, trained, kept)
    else:
        found = quantizer.weights(latent, trained, kept, moves=moves)
    if found.codes is not None:
        _through_scratch(frame, layer, found.codes)
    return found.floats.view(shares.shape_of(layer)), found.kept


def _of_share(machine: "FloatMachine", frame: Frame, layer: Layer, state: Parameters) -> Tensor:
    """Weights of which some are trained, latent or packed, and the rest codes, all by the same constants."""
    quantizer, constants = machine.quantizers.get(layer.name), state.get("step")
    taken = state["codes"] if "codes" in state else state["weight"]
    if quantizer is not None and "codes" not in state:
        made = quantizer.weights(shares.joined(layer, taken, None), constants, None, moves=False)
        assert made.codes is not None
        taken = shares.trained(layer, made.codes.flatten())
    whole = shares.joined(layer, taken, state["rest"])
    if quantizer is not None:
        whole = quantizer.unpacked(_through_scratch(frame, layer, whole), constants)
    return whole.view(shares.shape_of(layer))


def _deployed(
    machine: "FloatMachine", frame: Frame, layer: Layer, codes: Tensor, constants: Tensor | None
) -> Tensor:
    """Packed weights as floats."""
    quantizer = machine.quantizers.get(layer.name)
    if quantizer is None:
        return codes.view(shares.shape_of(layer))
    return quantizer.unpacked(_through_scratch(frame, layer, codes), constants).view(shares.shape_of(layer))


def _through_scratch(frame: Frame, layer: Layer, codes: Tensor) -> Tensor:
    """Codes one filter at a time, as bytes that are written and read."""
    own = [name for name in frame.operation.scratch if name.startswith(f"{layer.name}.filter")]
    if not own or codes.numel() != layer.weights:  # a code for several weights
        return codes
    return frame.through(own[0], codes.reshape(-1, layer.filter_size)).reshape(codes.shape)


def _product(layer: Layer, x: Tensor, weights: Tensor) -> Tensor:
    op = layer.op
    if isinstance(op, Linear):
        return F.linear(x, weights)
    assert isinstance(op, Conv)
    conv = (F.conv1d, F.conv2d, F.conv3d)[len(op.kernel) - 1]
    around, padding = _around(layer, op, x.shape[2:]), op.padding
    if around:
        mode = "constant" if op.padding_mode == "zeros" else op.padding_mode
        x, padding = F.pad(x, around, mode), (0,) * len(op.kernel)
    found: Tensor = conv(x, weights, None, op.stride, padding, op.dilation, op.groups)
    return found


def _around(layer: Layer, op: Conv, sides: Sequence[int]) -> tuple[int, ...]:
    """What stands before and behind each side, the last first; nothing for zeros on both sides alike."""
    found: list[int] = []
    for axis in reversed(range(len(op.kernel))):
        reach = op.dilation[axis] * (op.kernel[axis] - 1) + 1
        behind = (layer.shape[1 + axis] - 1) * op.stride[axis] + reach - sides[axis] - op.padding[axis]
        least = 0 if op.padding_mode == "zeros" else op.padding[axis]  # an even filter has more behind
        found += [op.padding[axis], max(behind, least)]
    even = all(before >= behind for before, behind in zip(found[::2], found[1::2], strict=True))
    return () if op.padding_mode == "zeros" and even else tuple(found)


def _biased(out: Tensor, bias: Tensor | None) -> Tensor:
    return out if bias is None else out + bias.view(-1, *[1] * (out.ndim - 2))


def _maps(frame: Frame, g: Tensor) -> Tensor:
    return g.view(len(g), *frame.layer.shape)
