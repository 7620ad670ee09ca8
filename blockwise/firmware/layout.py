"""How tensors lie on the board: maps and filters with their channels last, and back again.

The simulation's order is (C, H, W) and (O, C, kh, kw), row by row; that of the board (H, W, C) and (O, kh,
kw, C). A linear layer behind a flattened map reads the map as it lies, so its weights are those of a kernel
as large as the map. Sums of integers do not depend on the order; random numbers and checksums follow the
simulation's.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blockwise.firmware.program import Firmware
from blockwise.firmware.shapes import as_map, as_sides
from devices.network import Layer
from devices.network.ops import Conv, Linear
from devices.program.execute.memory import WORD_BITS, packed, unpacked
from devices.program.schedule import Tensor as Planned


def filters_shape(firmware: Firmware, layer: Layer) -> tuple[int, int, int, int]:
    """(O, C, kh, kw) of a layer with weights; of a linear one behind a map, of the kernel of that size."""
    op = layer.op
    if isinstance(op, Conv):
        rows, columns = as_sides(op.kernel)
        return op.channels, op.in_channels // op.groups, rows, columns
    assert isinstance(op, Linear)
    return op.features, *as_map(firmware.source_shape(layer))


def channels_first(firmware: Firmware, tensor: Planned) -> tuple[int, ...]:
    """The simulation's shape of a resident tensor whose channels come last on the board; else ()."""
    name, _, what = tensor.name.rpartition(".")
    layer = firmware.layers.get(name)
    if layer is None or what not in ("weight", "momentum", "waiting") or tensor.elements != layer.weights:
        return ()
    return filters_shape(firmware, layer)


def to_board(firmware: Firmware, tensor: Planned, value: Tensor) -> bytes:
    """The bytes of a tensor on the board; ``value`` are its words or codes in the simulation's order."""
    flat = value.detach().reshape(-1)
    shape = channels_first(firmware, tensor)
    if shape:
        flat = flat.view(shape).permute(0, 2, 3, 1).reshape(-1)
    if tensor.bits == WORD_BITS:
        return flat.contiguous().numpy().astype(flat.numpy().dtype.newbyteorder("<")).tobytes()
    codes = flat.numpy().astype(np.int64) & ((1 << tensor.bits) - 1)
    return packed(codes, tensor.bits).tobytes()


def from_board(firmware: Firmware, tensor: Planned, payload: bytes, *, integers: bool = True) -> Tensor:
    """The words, or the codes as int64, of a tensor's bytes on the board, in the simulation's order, flat."""
    flat = torch.from_numpy(_elements(tensor, np.frombuffer(payload, np.uint8), integers=integers))
    shape = channels_first(firmware, tensor)
    if not shape:
        return flat
    filters, channels, rows, columns = shape
    return flat.view(filters, rows, columns, channels).permute(0, 3, 1, 2).reshape(-1)


def _elements(tensor: Planned, payload: NDArray[np.uint8], *, integers: bool) -> NDArray[np.generic]:
    if tensor.bits == WORD_BITS:
        return payload.view("<i4" if integers else "<f4").copy()
    return unpacked(payload, tensor.bits, tensor.elements)


def images_to_board(images: Tensor) -> bytes:
    """uint8 images (B, C, H, W) as the firmware takes them, (B, H, W, C); signals (B, C, L) as (B, L, C)."""
    maps = images.reshape(len(images), *as_map(images.shape[1:]))
    return maps.permute(0, 2, 3, 1).contiguous().numpy().tobytes()


def labels_to_board(labels: Tensor, bits: int) -> bytes:
    """Class numbers as unsigned integers of so many bits, little-endian."""
    return labels.numpy().astype(f"<u{bits // 8}").tobytes()


def state_to_board(firmware: Firmware, values: Sequence[Tensor]) -> bytes:
    """All resident tensors, one behind the other."""
    pairs = zip(firmware.resident, values, strict=True)
    return b"".join(to_board(firmware, tensor, value) for tensor, value in pairs)
