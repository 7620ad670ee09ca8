"""The network that settings name, freshly initialised: in float, and with its quantizers."""

import torch

from blockwise import models, quant
from blockwise.experiment.settings import NetworkSettings, QuantizationSettings
from blockwise.models import Chain


def width_of(settings: NetworkSettings) -> float | None:
    """Channels of the first stage; None for a network that does not scale."""
    return models.width_of(settings.model, settings.width)


def float_chain(
    settings: NetworkSettings, in_shape: tuple[int, ...], classes: int, seed: int, *, trained: bool = True
) -> Chain:
    """In float, for images (C, H, W) = ``in_shape``; perhaps only its shapes are of use."""
    torch.manual_seed(seed)
    width, style = width_of(settings), settings.style
    return models.build(settings.model, in_shape, classes, width, settings.norm, style, trained=trained)


def quantize(chain: Chain, settings: QuantizationSettings, model: str) -> Chain:
    """The same chain, its quantizers put in place; ``model`` tells whether it has skip paths."""
    bits = settings.trained_weight_bits, settings.trained_activation_bits
    quant.quantize(chain, settings.scheme, *bits, settings.skips_of(model))
    return chain
