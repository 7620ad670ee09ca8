"""No quantization: the float32 baseline."""

from collections.abc import Mapping

import torch
from torch import Tensor

from blockwise.quant.quantizer import Method, Quantizer

MASK = 0xFFFFFFFF


class Float32(Quantizer):
    """The identity."""

    def quantize(self, x: Tensor) -> Tensor:
        """Return ``x`` itself."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` itself."""
        return x

    def codes(self, x: Tensor) -> Tensor:
        """The bit patterns of the floats."""
        return x.float().contiguous().view(torch.int32).long() & MASK

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """None."""
        return {}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The floats with these bit patterns."""
        return codes.to(torch.int32).view(torch.float32).view(shape)


METHOD = Method(
    "fp32", "no quantization", "-", "float", Float32, Float32, edge_bits=32,
    weight_bits=(32,), activation_bits=(32,),
)  # fmt: skip
