"""Images as integer tensors: a fixed offset and exponent, so that an image is the same in every batch."""

import torch
from torch import Tensor

from blockwise.integer.tensor import INT8, IntTensor

MIDDLE = 128
EXPONENT = -7


def from_pixels(pixels: Tensor, offset: int | tuple[int, ...] = MIDDLE) -> IntTensor:
    """clip(pixel - offset, +-127) x 2^-7 of uint8 images (B, C, ...); one offset, or one per channel.

    NITI scales by the largest value of each batch instead, which a board would have to read twice.
    """
    if pixels.dtype != torch.uint8:
        raise TypeError(f"pixels: got {pixels.dtype}, wanted torch.uint8")
    channels = offset if isinstance(offset, tuple) else (offset,)
    offsets = torch.tensor(channels, dtype=torch.int16, device=pixels.device)
    per_channel = offsets.view(-1, *(1,) * (pixels.ndim - 2))
    mantissa = (pixels.to(torch.int16) - per_channel).clamp_(INT8.low, INT8.high).to(torch.int8)
    return IntTensor(mantissa, EXPONENT)
