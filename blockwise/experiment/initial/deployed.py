"""Batch norms as constants: where a network has frozen norms, or none, what a trained norm came to.

A trained norm computes scale x + shift, where scale = weight / sqrt(variance + eps) and
shift = bias - scale mean. Frozen norms take these, and where there is none they go into the weights and the
bias of the layer before.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from blockwise.layers.norms import SMALLEST_VARIANCE

PARTS = ("weight", "bias", "running_mean", "running_var")


def deployed(source: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``source`` with those of its batch norms that ``wanted`` lacks as constants, by the same names."""
    found = dict(source)
    for layer, norm in _norms(source):
        if f"{norm}.running_mean" in wanted:
            continue
        scale, shift = _constants([source.get(f"{norm}.{part}") for part in PARTS])
        if f"{norm}.scale" in wanted:
            made = {f"{norm}.scale": scale, f"{norm}.shift": shift, f"{norm}.ready": torch.ones(())}
        elif f"{layer}.bias" in wanted:
            weight, bias = source[f"{layer}.weight"], source.get(f"{layer}.bias")
            folded = weight * scale.view(-1, *[1] * (weight.ndim - 1))
            made = {
                f"{layer}.weight": folded,
                f"{layer}.bias": shift if bias is None else shift + scale * bias,
            }
        else:
            continue
        for part in (*PARTS, "num_batches_tracked"):
            found.pop(f"{norm}.{part}", None)
        found |= made
    return found


def _norms(source: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """The layer with weights before each batch norm, and the norm."""
    layer = ""
    for name, tensor in source.items():
        path, _, part = name.rpartition(".")
        if part == "weight" and tensor.ndim > 1:
            layer = path
        elif part == "running_mean" and layer:
            yield layer, path


def _constants(parts: list[Tensor | None]) -> tuple[Tensor, Tensor]:
    weight, bias, mean, variance = parts
    assert mean is not None
    assert variance is not None
    scale = (variance + SMALLEST_VARIANCE).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return scale, shift if bias is None else shift + bias
