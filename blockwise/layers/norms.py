"""The norms a network can be trained with: they differ in what they keep and in what they learn.

``batch``            batch norm; its normalised input is kept at 32 bits for the backward pass
``batch-recompute``  the same results; the input is computed again from the convolution's codes
``group``            group norm (Wu & He 2018, arXiv 1803.08494): no statistics of a batch
``frozen``           a constant scale and shift per channel, set on the first images and never trained
``none``             nothing; the layer before gets a bias
"""

from collections.abc import Callable
from math import gcd

import torch
from torch import Tensor, nn

from blockwise.layers.weighted import Weighted
from devices.errors import unknown_name

CHANNELS_PER_GROUP = 8
"""Wu & He find 8 to 32 channels a group about equally good; small networks need small groups."""

SMALLEST_VARIANCE = 1e-5
"""As in PyTorch's norms."""

CONSTANT = 1e-6
"""A channel whose deviation is within this share of its mean is constant, up to rounding."""


BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
"""Those that another norm may take the place of."""


class RecomputedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose input a device computes again. In PyTorch it is batch norm."""

    op_kind = "batch_norm_recompute"


class RecomputedBatchNorm1d(nn.BatchNorm1d):
    """As :class:`RecomputedBatchNorm2d`, for flat features."""

    op_kind = "batch_norm_recompute"


class RecomputedBatchNorm3d(nn.BatchNorm3d):
    """As :class:`RecomputedBatchNorm2d`, for volumes."""

    op_kind = "batch_norm_recompute"


RECOMPUTED: dict[type[nn.Module], type[BatchNorm]] = {
    nn.BatchNorm1d: RecomputedBatchNorm1d, nn.BatchNorm2d: RecomputedBatchNorm2d,
    nn.BatchNorm3d: RecomputedBatchNorm3d,
}  # fmt: skip


class ConstantNorm(nn.Module):
    """scale x + shift per channel, (B, C, ...) -> the same shape.

    With ``sides``, a shape without the batch, they stand so beside the map, and are set from outside.

    The constants make the first batch that passes standard normal; after that they never change. A
    channel that is constant in it, as every one is in a single image's flat features, is only shifted:
    what is a rounding error now would be multiplied by 1 / sqrt(:data:`SMALLEST_VARIANCE`) for good.
    """

    op_kind = "frozen_norm"
    ready: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int, sides: tuple[int, ...] = ()) -> None:
        """``channels`` are as many as ``sides`` have places, if there are any."""
        super().__init__()
        self.sides = sides
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("shift", torch.zeros(channels))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    def calibrate(self, x: Tensor) -> None:
        """Choose the constants from a batch."""
        with torch.no_grad():
            dims = [d for d in range(x.ndim) if d != 1]
            variance, mean = torch.var_mean(x, dims, correction=0)
            varies = variance > (CONSTANT * mean).square()
            self.scale.copy_(torch.where(varies, (variance + SMALLEST_VARIANCE).rsqrt(), 1))
            self.shift.copy_(-mean * self.scale)
            self.ready.fill_(True)

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift."""
        if not x.is_meta and x.numel() and not self.ready:
            self.calibrate(x)
        shape = self.sides or (-1, *[1] * (x.ndim - 2))
        return torch.addcmul(self.shift.view(shape), x, self.scale.view(shape))


def _recomputed(norm: BatchNorm, channels: int) -> nn.Module:
    kind = next(made for given, made in RECOMPUTED.items() if isinstance(norm, given))
    made = kind(channels, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    made.load_state_dict(norm.state_dict())
    return made


def _group(norm: BatchNorm, channels: int) -> nn.Module:
    """With the norm's factors, if any; groups have statistics of their own."""
    size = gcd(channels, CHANNELS_PER_GROUP)
    made = nn.GroupNorm(channels // size if size > 1 else 1, channels)
    if norm.affine:
        made.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    return made


NORMS: dict[str, Callable[[BatchNorm, int], nn.Module]] = {
    "batch": lambda norm, channels: norm,
    "batch-recompute": _recomputed,
    "group": _group,
    "frozen": lambda norm, channels: ConstantNorm(channels),
    "none": lambda norm, channels: nn.Identity(),
}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
"""Of 1, 2 and 3 dimensions of space; the first of none, too."""


def of_head(norm: str) -> str:
    """The norm of local heads: they start untrained, so constants would not serve them."""
    return "group" if norm in ("frozen", "none") else norm


def replace_norms(model: nn.Module, name: str) -> nn.Module:
    """Put the norm ``name`` in place of every batch norm of ``model`` and return it.

    Raises InputError for an unknown name.
    """
    if name not in NORMS:
        raise unknown_name("norm", name, NORMS)
    before: nn.Module | None = None
    device = next((p.device for p in model.parameters()), None)  # perhaps meta: only planned
    for path, module in list(model.named_modules()):
        if isinstance(module, BATCH_NORMS):
            with torch.device(device or "cpu"):
                model.set_submodule(path, NORMS[name](module, module.num_features))
            if name == "none" and isinstance(before, Weighted) and before.bias is None:
                before.bias = nn.Parameter(before.weight.new_zeros(len(before.weight)))
        if isinstance(module, Weighted):
            before = module
    return model
