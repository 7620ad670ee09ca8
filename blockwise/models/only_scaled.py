"""Norms with a scale and no shift, as ``nn.LayerNorm(bias=False)``."""

import copy

from torch import Tensor, nn

from blockwise.layers.norms import BATCH_NORMS
from blockwise.layers.scaled import ChannelScale
from blockwise.models.editing import Shape, stood_at

NORMS = (nn.LayerNorm, nn.GroupNorm, *BATCH_NORMS)


def is_only_scaled(module: nn.Module) -> bool:
    """Whether it is such a norm."""
    return isinstance(module, NORMS) and module.weight is not None and module.bias is None


def without_scale(norm: nn.Module) -> nn.Module:
    """A copy without factors."""
    made: nn.Module = copy.deepcopy(norm)
    made.register_parameter("weight", None)
    for name in ("affine", "elementwise_affine"):
        if hasattr(made, name):
            setattr(made, name, False)
    return made


def only_scaled(norm: nn.Module, weight: Tensor, path: str | None, read: Shape = ()) -> nn.Sequential:
    """``norm``, which has no factors, and behind it trained ones (C,).

    Those of a layer norm stand beside the last dimensions of ``read``. ``path`` is where they stood in the
    user's module.
    """
    ends = isinstance(norm, nn.LayerNorm) and len(read) > 1
    sides = (*[1] * (len(read) - weight.ndim), *weight.shape) if ends else ()
    return nn.Sequential(norm, stood_at(ChannelScale(weight.flatten(), sides=sides), weight=path))
