"""The order in which the board holds weights: filters with their channels last."""

import numpy as np
import torch
from torch import Tensor

from blockwise.firmware.float_facts import without_form
from blockwise.firmware.shapes import MAP, as_map
from devices.network import Layer
from devices.network.ops import Add, Affine, BatchNorm, Cat, Conv, FrozenNorm, GroupNorm, Linear, Mul
from devices.program.execute.memory import packed
from devices.program.kernels import shares
from devices.program.schedule import Schedule
from devices.program.state import FROZEN

WEIGHTS = ("weight", "codes")
"""What tensors of a layer's weights are called: latent, their states and gradients, and deployed."""


def order_of(schedule: Schedule, name: str) -> Tensor | None:
    """Where the elements of a tensor stand in the simulation, in the board's order, if that is another.

    So it is of a tensor that has an element for each weight of a layer, or for each that is trained, or not.
    """
    layer = next((x for x in map(schedule.layers.get, _prefixes(name)) if x is not None), None)
    if layer is None or name[len(layer.name) + 1 :].split(".")[0] not in WEIGHTS:
        return None
    there = _there(layer, name)
    if schedule.tensors[name].elements != int(there.sum()):
        return None
    places = (there.cumsum(0) - 1).where(there, -1).view(filters_of(schedule, layer))
    found = places.permute(0, 2, 3, 1).flatten()
    return found[found >= 0]


def _there(layer: Layer, name: str) -> Tensor:
    """Of which weights of a layer a tensor has an element, bool, flat."""
    if not layer.is_shared:
        return torch.ones(layer.weights, dtype=torch.bool)
    taken = shares.mask(layer).flatten()
    return ~taken if name.endswith(f".{FROZEN}") else taken


def filters_of(schedule: Schedule, layer: Layer) -> tuple[int, int, int, int]:
    """(O, C, kh, kw) of a layer with weights.

    A linear layer behind a flattened map reads it as it lies: its weights are those of a kernel as large.
    """
    if isinstance(layer.op, Conv):
        rows, columns = (*layer.op.kernel, 1)[:2]
        return layer.op.channels, layer.op.in_channels // layer.op.groups, rows, columns
    assert isinstance(layer.op, Linear)
    channels, rows, columns = map_behind(schedule, layer.inputs[0], layer.op.in_features)
    return layer.op.features, channels, rows, columns


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def map_behind(schedule: Schedule, name: str, features: int) -> tuple[int, int, int]:
    """The map that flat features are, if they are one: behind views and what works element by element."""
    while name in schedule.layers:
        layer = schedule.layers[name]
        if len(layer.shape) > MAP:
            raise without_form(
                f"layer {layer.name}", f"{len(layer.shape)} dimensions that are flattened",
                "a map, or features", "flatten the map itself",
            )  # fmt: skip
        if len(layer.shape) > 1:
            return as_map(layer.shape)
        if layer.weights:
            break
        if isinstance(layer.op, Cat):
            _check_pixels(schedule, layer)
            break
        name = layer.inputs[0]
    if name not in schedule.layers and "batch.images" in schedule.tensors:
        return as_map(schedule.tensors["batch.images"].shape[1:])
    return features, 1, 1


def check_features(schedule: Schedule) -> None:
    """Raise InputError where flattened maps, which lie by place, meet what goes by feature.

    Parameters and groups of norms go by feature, and so does what a linear layer makes.
    """
    for layer in (x for x in schedule.layers.values() if len(x.shape) == 1):
        met = {map_behind(schedule, name, layer.shape[0]) for name in layer.inputs}
        alone = met == {(layer.shape[0], 1, 1)}
        by_feature = isinstance(layer.op, BY_FEATURE) and not alone
        if by_feature or (isinstance(layer.op, Add | Mul) and len(met) > 1):
            raise without_form(
                f"layer {layer.name}", f"{layer.op.words} of a flattened map", "that of maps or features",
                "put it before the flatten, or pool the map to one value",
            )  # fmt: skip


BY_FEATURE = (Affine, BatchNorm, FrozenNorm, GroupNorm)


def is_flattened(schedule: Schedule, name: str) -> bool:
    """Whether flat features are a map of several pixels."""
    _, rows, columns = map_behind(schedule, name, 1)
    return rows * columns > 1


def _check_pixels(schedule: Schedule, layer: Layer) -> None:
    """Raise InputError for flattened maps side by side: their features do not lie as those of one map."""
    for name in layer.inputs:
        if is_flattened(schedule, name):
            raise without_form(
                f"layer {layer.name}", "flattened maps side by side", "maps side by side, or features",
                "pool the maps to one value, or flatten behind the concatenation",
            )  # fmt: skip


def to_board(schedule: Schedule, name: str, flat: Tensor) -> Tensor:
    """The elements of a tensor, in the simulation's order (n,), in that of the board."""
    order = order_of(schedule, name)
    return flat if order is None else flat[order]


def from_board(schedule: Schedule, name: str, flat: Tensor) -> Tensor:
    """The other way."""
    order = order_of(schedule, name)
    return flat if order is None else torch.empty_like(flat).index_copy_(0, order, flat)


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
