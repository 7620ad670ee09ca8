"""The order in which the board holds weights: filters with their channels last."""

import numpy as np
import torch
from torch import Tensor

from blockwise.firmware.shapes import as_map
from devices.network.ops import Conv, Linear
from devices.program.execute.memory import packed
from devices.program.schedule import Schedule

WEIGHTS = ("weight", "codes")
"""What tensors of a layer's weights are called: latent, their states and gradients, and deployed."""


def filters_of(schedule: Schedule, name: str) -> tuple[int, int, int, int] | None:
    """(O, C, kh, kw) of a tensor that has an element for each weight of a layer; None for any other.

    A linear layer behind a flattened map reads it as it lies: its weights are those of a kernel as large.
    """
    layer = next((x for x in map(schedule.layers.get, _prefixes(name)) if x is not None), None)
    if layer is None or name[len(layer.name) + 1 :].split(".")[0] not in WEIGHTS:
        return None
    if schedule.tensors[name].elements != layer.weights:
        return None
    if isinstance(layer.op, Conv):
        rows, columns = (*layer.op.kernel, 1)[:2]
        return layer.op.channels, layer.op.in_channels // layer.op.groups, rows, columns
    assert isinstance(layer.op, Linear)
    channels, rows, columns = _map_behind(schedule, layer.inputs[0], layer.op.in_features)
    return layer.op.features, channels, rows, columns


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def _map_behind(schedule: Schedule, name: str, features: int) -> tuple[int, int, int]:
    """The map that flat features are, if they are one: behind views and what works element by element."""
    while name in schedule.layers:
        layer = schedule.layers[name]
        if len(layer.shape) > 1:
            return as_map(layer.shape)
        if layer.weights:
            break
        name = layer.inputs[0]
    if name not in schedule.layers and "batch.images" in schedule.tensors:
        return as_map(schedule.tensors["batch.images"].shape[1:])
    return features, 1, 1


def to_board(schedule: Schedule, name: str, flat: Tensor) -> Tensor:
    """The elements of a tensor, in the simulation's order (n,), in that of the board."""
    shape = filters_of(schedule, name)
    return flat if shape is None else flat.view(shape).permute(0, 2, 3, 1).reshape(-1)


def from_board(schedule: Schedule, name: str, flat: Tensor) -> Tensor:
    """The other way."""
    shape = filters_of(schedule, name)
    if shape is None:
        return flat
    filters, channels, rows, columns = shape
    return flat.view(filters, rows, columns, channels).permute(0, 3, 1, 2).reshape(-1)


def maps_from_board(shape: tuple[int, ...], flat: Tensor) -> Tensor:
    """A map (B, C, H, W) as the board has it, (B, H, W, C); a signal (B, C, L) as (B, L, C)."""
    if len(shape) < 3:
        return flat.view(shape)
    channels, rows, columns = as_map(shape[1:])
    return flat.view(shape[0], rows, columns, channels).permute(0, 3, 1, 2).reshape(shape)


def words_of(value: Tensor) -> list[int]:
    """float32 as 32-bit words."""
    return [word & 0xFFFFFFFF for word in value.float().contiguous().view(torch.int32).tolist()]


def words_of_codes(value: Tensor, bits: int) -> list[int]:
    """Codes as a board packs them, in 32-bit words, of which the last may not be full."""
    payload = packed(value.numpy().astype(np.int64), bits)
    return [int(word) for word in np.pad(payload, (0, -len(payload) % 4)).view("<u4")]
