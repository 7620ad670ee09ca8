"""Batch norms as constants: where a network has frozen norms, or none, what a trained norm came to.

A trained norm computes scale x + shift, where scale = weight / sqrt(variance + eps) and
shift = bias - scale mean. Frozen norms take these, and where there is none they go into the weights and the
bias of the layer before.
"""

from torch import Tensor, nn

from blockwise.layers.norms import BATCH_NORMS

PARTS = ("weight", "bias", "running_mean", "running_var")


def constants(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) of a norm of C channels; one without factors has neither weight nor bias."""
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return scale, shift if bias is None else shift + bias


def folded(weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (C, ...) and bias (C,) of the layer before, with scale and shift in them."""
    scaled = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    return scaled, shift if bias is None else shift + scale * bias


def epsilons(module: nn.Module) -> dict[str, float]:
    """What each batch norm of ``module`` adds to variances, by its path."""
    return {path: norm.eps for path, norm in module.named_modules() if isinstance(norm, BATCH_NORMS)}
