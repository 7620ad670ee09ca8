"""The trained tensors of a layer's module, by the names that plans have for them."""

from torch import nn

from blockwise.heads.shared import ReadConv
from blockwise.layers.weighted import Weighted
from blockwise.quant.layers import QuantActivation, QuantReLU, QuantWeighted, Shared, Signed
from blockwise.quant.quantizer import Quantizer
from devices.network import Layer
from devices.network.ops import ShiftedNorm


def parameters_of(module: nn.Module, layer: Layer | None = None) -> dict[str, list[nn.Parameter]]:
    """The trained tensors of a layer by what plans call them: scale and shift of a norm are its bias.

    Of a ``layer`` that is a shift alone, the shift is.
    """
    quantizer = own_quantizer(module)
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    is_norm = weight is not None and not isinstance(module, Weighted)
    if layer is not None and isinstance(layer.op, ShiftedNorm):
        weight = None
    rows: dict[str, list[nn.Parameter | None]] = {
        "weight": [] if is_norm else [weight],
        "bias": [weight, bias] if is_norm else [bias],
        "step": list(quantizer.parameters()) if quantizer is not None else [],
    }
    return {what: ps for what, found in rows.items() if (ps := [p for p in found if p is not None])}


def own_quantizer(module: nn.Module) -> Quantizer | None:
    """What has the values: the quantizer of magnitudes, where there is a sign beside it."""
    found = quantizes(module)
    found = found.quantizer if isinstance(found, Shared | QuantActivation) else found
    found = found.magnitude if isinstance(found, Signed) else found
    assert found is None or isinstance(found, Quantizer)
    return found


def quantizes(module: nn.Module) -> nn.Module | None:
    if isinstance(module, Quantizer | Signed | Shared | QuantActivation):
        return module
    return module.quantizer if isinstance(module, QuantReLU) else weight_quantizer(module)


def weight_quantizer(module: nn.Module) -> Quantizer | None:
    found: object = module.source if isinstance(module, ReadConv) else module
    return found.weight_quantizer if isinstance(found, QuantWeighted) else None
