"""``sim``: the similarity matching loss of Nøkland & Eidnes 2019 (arXiv 1901.06656, section 2.2)."""

import torch
from torch import Tensor, nn

from blockwise.heads.head import Head, Shape, Targets, Taught
from blockwise.layers.weighted import CONVOLUTIONS
from devices.errors import InputError

EPSILON = 1e-8
CONSTANT_ROW = 1e-5
"""A row whose deviation from its mean is below this part of its norm is rounding noise: constant."""


class SpatialDeviation(nn.Module):
    """Standard deviation over space: (B, C, ...) -> (B, C). Its gradient is 0 where it is 0."""

    op_kind = "spatial_std"

    def forward(self, x: Tensor) -> Tensor:
        """One value per channel."""
        return x.std(dim=tuple(range(2, x.ndim)))  # in any memory layout without a copy


def similarity_matrix(x: Tensor) -> Tensor:
    """Cosine similarities (B, B) of the centred rows of x (B, n), in [-1, 1].

    A constant row, dead or saturated, resembles nothing: its similarities and gradients are zero.
    """
    centred = x - x.mean(dim=1, keepdim=True)
    norm = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    alive = norm > CONSTANT_ROW * torch.linalg.vector_norm(x, dim=1, keepdim=True)
    # The divisor of a constant row is replaced before the division, or its gradient would be NaN.
    unit = torch.where(alive, centred, 0) / torch.where(alive, norm + EPSILON, 1)
    return (unit @ unit.T).clamp(-1, 1)


class SimilarityMatching(nn.Module):
    """Mean squared difference of S(features) and S(one-hot labels)."""

    op_kind = "similarity_loss"

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, x: Tensor, y: Targets) -> Tensor:
        """Features (B, n) and labels (B,) -> a scalar. Raises InputError at batch size 1.

        It compares samples by their labels alone: an answer beside them says nothing of that.
        """
        if x.shape[0] == 1:
            raise InputError(
                "similarity loss", got="a batch of 1", wanted="at least 2 samples to compare",
                do="use a larger --batch-size or a head that predicts, such as gap",
            )  # fmt: skip
        labels = y.labels if isinstance(y, Taught) else y
        one_hot = nn.functional.one_hot(labels, self.num_classes).to(x.dtype)
        return nn.functional.mse_loss(similarity_matrix(x), similarity_matrix(one_hot))


class SimilarityBranch(nn.Sequential):
    """g and the reduction to one row per sample: a convolution C -> C with sides of 3, or a linear n -> n."""

    def __init__(self, in_shape: Shape, kernel: int = 3) -> None:
        channels = in_shape[0]
        if len(in_shape) == 1:
            super().__init__(nn.Linear(channels, channels, bias=False))
            return
        conv = CONVOLUTIONS[len(in_shape) - 1](channels, channels, kernel, padding=kernel // 2, bias=False)
        spread = channels > 3 and in_shape[1] > 1
        super().__init__(conv, SpatialDeviation() if spread else nn.Flatten())


class SimHead(Head):
    """The similarity loss alone: it shapes the block's output but classifies nothing."""

    minimum_batch = 2

    def __init__(self, in_shape: Shape, num_classes: int) -> None:
        super().__init__()
        self.branch = SimilarityBranch(in_shape)
        self.loss = SimilarityMatching(num_classes)

    def forward(self, h: Tensor, y: Targets) -> Tensor:
        """The loss, a scalar."""
        return self.loss(self.branch(h), y)  # type: ignore[no-any-return]
