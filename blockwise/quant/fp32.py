"""No quantization: the float32 baseline."""

from torch import Tensor

from blockwise.quant.quantizer import Method, Quantizer


class Float32(Quantizer):
    """The identity."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` itself."""
        return x


METHOD = Method("fp32", "no quantization", "-", Float32, Float32, edge_bits=32, learned_step=False)
