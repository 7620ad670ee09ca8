"""Weights as a board stores them: packed codes, and the scale or the levels that say what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from blockwise import quant
from blockwise.deployed.even import even
from blockwise.quant.packing import pack_codes, unpack_codes
from blockwise.quant.quantizer import Quantizer

CODES, SCALE, LEVELS = "codes", "scale", "levels"


@dataclass(frozen=True, eq=False)
class Coded:
    """What stands for a tensor of weights: ``tensors`` by their part of the name, and how to read them.

    ``told`` has ``bits`` of a code, the ``shape`` of the weights and the ``count`` of codes; with a scale
    ``low`` and ``stride``: code k means (low + stride k) scale. Without, it means level k of its row.
    """

    told: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def bytes(self) -> int:
        """Of codes and of what decodes them."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())


def coded(quantizer: Quantizer, weight: Tensor) -> Coded:
    """``weight`` (O, ...) by the quantizer that it was trained with."""
    packed = quant.pack(quantizer, weight)
    told: dict[str, Any] = {"bits": packed.bits, "shape": list(packed.shape), "count": packed.count}
    tensors = {CODES: packed.codes}
    levels = _levels(quantizer, packed)
    found = even(levels[..., 0]) if levels.shape[2] == 1 else None
    if found is None:
        return Coded(told, tensors | {LEVELS: levels})
    told |= {"low": found.low, "stride": found.stride}
    per_row = found.scale.view(-1, *[1] * (len(packed.shape) - 1))
    return Coded(told, tensors | {SCALE: per_row if len(per_row) > 1 else found.scale[0]})


def integers(mantissa: Tensor, bits: int, low: int) -> Coded:
    """Whole numbers from ``low`` on (O, ...)."""
    told: dict[str, Any] = {"bits": bits, "shape": list(mantissa.shape), "count": mantissa.numel()}
    return Coded(told | {"low": low, "stride": 1}, {CODES: pack_codes(mantissa.long() - low, bits)})


def decoded(told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Tensor:
    """The weights, float32; whole numbers, which have no scale, float64."""
    shape = tuple(told["shape"])
    codes = unpack_codes(tensors[CODES], told["bits"], told["count"])
    if LEVELS in tensors:
        levels = tensors[LEVELS]
        rows = torch.arange(len(levels))[:, None]
        return levels[rows, codes.view(len(levels), -1)].reshape(shape)
    numbers = (told["low"] + told["stride"] * codes).view(shape)
    found: Tensor = numbers.float() * tensors[SCALE] if SCALE in tensors else numbers.double()
    return found


def _levels(quantizer: Quantizer, packed: quant.Packed) -> Tensor:
    """What the codes in use mean, float32 (rows, codes, weights to a code)."""
    memory = quantizer.memory(packed.bits)
    block = quant.code_block(packed.shape) if memory.blocks else 1
    rows = packed.shape[0] if memory.per_channel else 1
    used = unpack_codes(packed.codes, packed.bits, packed.count)
    count = int(used.max()) + 1 if packed.count else 0  # a method need not know what others would mean
    codes = torch.arange(count).expand(rows, count).contiguous()
    shape = (count, block) if block > 1 else (rows, count)
    with torch.no_grad():
        levels = type(quantizer).decode(codes, packed.constants, packed.bits, shape)
    return levels.float().view(rows, count, block).contiguous()
