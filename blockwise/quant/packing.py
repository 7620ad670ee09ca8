"""Codes packed to b bits each, as a deployed network stores them, and back."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from blockwise.layers.weighted import Weighted
from blockwise.quant.layers import QuantWeighted
from blockwise.quant.quantizer import Quantizer
from devices.network.ops import weights_to_a_code
from devices.program.execute import memory


@dataclass(frozen=True)
class Packed:
    """Weights as stored: ``codes`` uint8 (ceil(count x bits / 8),), low bits first, and constants."""

    bits: int
    shape: tuple[int, ...]
    count: int  # codes; fewer than weights where one code stands for several
    codes: Tensor
    constants: dict[str, Tensor]

    @property
    def stored_bytes(self) -> int:
        """Bytes of codes and constants."""
        return self.codes.numel() + sum(4 * t.numel() for t in self.constants.values())


def pack_codes(codes: Tensor, bits: int) -> Tensor:
    """Codes 0 .. 2^bits - 1 (any shape) as bytes, low bits first."""
    return torch.from_numpy(memory.packed(codes.reshape(-1).cpu().numpy().astype(np.int64), bits))


def unpack_codes(packed: Tensor, bits: int, count: int) -> Tensor:
    """The first ``count`` codes of what :func:`pack_codes` made, int64 (count,)."""
    return torch.from_numpy(memory.unpacked(packed.cpu().numpy(), bits, count))


def pack(quantizer: Quantizer, weight: Tensor) -> Packed:
    """The weights as the quantizer deploys them."""
    with torch.no_grad():
        codes = quantizer.codes(weight)
        constants = {name: t.detach().float().clone() for name, t in quantizer.constants(weight).items()}
    packed = pack_codes(codes, quantizer.bits)
    return Packed(quantizer.bits, tuple(weight.shape), codes.numel(), packed, constants)


def unpack(kind: type[Quantizer], packed: Packed) -> Tensor:
    """The weights that the codes stand for: those of the fake-quantizer, to the bit."""
    codes = unpack_codes(packed.codes, packed.bits, packed.count)
    if packed.count == torch.Size(packed.shape).numel():
        codes = codes.view(packed.shape)
    return kind.decode(codes, packed.constants, packed.bits, packed.shape)


def stored_bytes(model: nn.Module) -> int:
    """Bytes of all weights of convolutions and linear layers as deployed, with what decodes them."""
    layers = (module for module in model.modules() if isinstance(module, Weighted))
    return sum(_stored(layer) for layer in layers)


def _stored(layer: Weighted) -> int:
    if not isinstance(layer, QuantWeighted):
        return 4 * layer.weight.numel()
    quantizer, shape = layer.weight_quantizer, layer.weight.shape
    memory = quantizer.memory(quantizer.bits)
    block = code_block(tuple(shape)) if memory.blocks else 1
    values = memory.packed * block * (shape[0] if memory.per_channel else 1)
    codes = layer.weight.numel() // block
    return -(-codes * quantizer.bits // 8) + 4 * values


def code_block(shape: tuple[int, ...]) -> int:
    """Weights to a code where one code stands for several, for weights of this shape."""
    return weights_to_a_code(math.prod(shape[1:]), math.prod(shape[2:]))
