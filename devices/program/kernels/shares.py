"""Weights of which only the first channels are trained: one tensor of floats, another of codes."""

from dataclasses import replace

import torch
from torch import Tensor

from devices.network import Layer
from devices.network.ops import Conv, Linear


def shape_of(layer: Layer) -> tuple[int, ...]:
    """Of all weights of a layer: outputs, inputs of one output, and the kernel."""
    op = layer.op
    if isinstance(op, Conv):
        return (op.channels, op.in_channels // op.groups, *op.kernel)
    assert isinstance(op, Linear)
    return (op.features, op.in_features)


def trained(layer: Layer, flat: Tensor) -> Tensor:
    """Of all weights (flat) those that are trained, flat."""
    return flat.view(shape_of(layer))[_where(layer)].flatten()


def rest(layer: Layer, flat: Tensor) -> Tensor:
    """Of all weights (flat) those that are not, in order."""
    return flat.view(shape_of(layer))[~mask(layer)]


def mask(layer: Layer) -> Tensor:
    """Which of the weights are trained, bool, in their shape."""
    found = torch.zeros(shape_of(layer), dtype=torch.bool)
    found[_where(layer)] = True
    return found


def joined(layer: Layer, taken: Tensor, left: Tensor | None) -> Tensor:
    """All weights, flat, of those that are trained and the others; zeros where these are not given."""
    whole = torch.zeros(shape_of(layer), dtype=taken.dtype)
    whole[_where(layer)] = taken.view(whole[_where(layer)].shape)
    if left is not None:
        whole[~mask(layer)] = left.to(taken.dtype)
    return whole.flatten()


def part_of(layer: Layer) -> Layer:
    """The layer as far as its weights are trained."""
    op, outputs, inputs = layer.op, layer.trained_outputs, layer.trained_inputs
    if isinstance(op, Linear):
        return replace(layer, op=replace(op, in_features=inputs, features=outputs))
    assert isinstance(op, Conv)
    if op.groups > 1:
        return replace(layer, op=replace(op, in_channels=outputs, channels=outputs, groups=outputs))
    return replace(layer, op=replace(op, in_channels=inputs, channels=outputs))


def _where(layer: Layer) -> tuple[slice, slice]:
    apart = isinstance(layer.op, Conv) and layer.op.groups > 1
    return slice(layer.trained_outputs), slice(None if apart else layer.trained_inputs)
