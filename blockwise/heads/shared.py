"""``lookahead-shared``: a lookahead head whose first convolution is the next block's own.

As in MAN++ (Su et al. 2025, arXiv 2507.16279), whose auxiliary networks hold what the next block has learnt,
so that a block learns what is of use there. There it is a moving average in a copy of its own, with a bias
that is learnt to balance the features; here the weights are read where they lie, as the next block quantizes
them, and a norm stands behind. The head's loss does not train them: no gradient reaches the next block, and
they cost no gradient and no optimizer state.
"""

from typing import Any

import torch
from torch import Tensor, nn

from blockwise.heads.head import Shape
from blockwise.heads.lookahead import DEPTH, SIDE, WIDTH, LookaheadHead
from blockwise.layers.weighted import Convolution
from blockwise.quant.layers import GEOMETRY


class ReadConv(nn.Module):
    """A convolution by the weights of another layer, without its bias: they are no part of this module."""

    op_kind = "conv"

    def __init__(self, source: Convolution) -> None:
        super().__init__()
        for name in ("in_channels", "out_channels", *GEOMETRY):
            setattr(self, name, getattr(source, name))
        self.bias = None
        object.__setattr__(self, "source", source)
        self.folded: Tensor | None = None  # (O,), what the source's weights were multiplied by since

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, O, ...); the gradient goes to x alone."""
        with torch.no_grad():
            weight = self._weight()
        if torch.compiler.is_compiling():  # in one piece the compiler finds another gradient of x
            torch._dynamo.graph_break()
        source: Any = self.source
        # what reads the source's own inputs as codes knows nothing of these
        # maps may be in bf16, weights are floats
        out: Tensor = type(source)._conv_forward(source, x.to(weight.dtype), weight, None)
        return out

    def _weight(self) -> Tensor:
        """As the source's stood when this was trained: without the norm that was folded into them since."""
        weight = self._of_source()
        return weight if self.folded is None else weight / self.folded.view(-1, *[1] * (weight.ndim - 1))

    def _of_source(self) -> Tensor:
        """As the source would multiply them now; what follows its weights stays as it is.

        Where levels follow, those that its next pass begins with, which checkpoints have.
        """
        source: Any = self.source
        quantizer = getattr(source, "weight_quantizer", None)
        if quantizer is None:
            latent: Tensor = source.weight
            return latent.detach()
        before = quantizer.tracks, quantizer.training
        quantizer.tracks, quantizer.training = False, quantizer.training and not quantizer.follows
        try:
            weight: Tensor = quantizer(source.weight)
        finally:
            quantizer.tracks, quantizer.training = before
        return weight.detach()


class SharedLookaheadHead(LookaheadHead):
    """As ``lookahead``, with the next block's first convolution in place of its own first.

    The stride is that of the next block; where that keeps the size, the second convolution takes the stride
    of 2. Where no convolution of its maps follows, it is ``lookahead`` itself.
    """

    def __init__(
        self, in_shape: Shape, num_classes: int, width: int = WIDTH, depth: int = DEPTH, side: int = SIDE,
        ahead: Convolution | None = None,
    ) -> None:  # fmt: skip
        takes = ahead is not None and len(in_shape) > 1 and ahead.in_channels == in_shape[0]
        first = ReadConv(ahead) if takes and ahead else None
        super().__init__(in_shape, num_classes, width, depth, side, first)
