"""Batch norms of trained weights as constants, where the network has frozen norms, or none."""

from collections.abc import Mapping

import torch
from torch import Tensor

from blockwise.layers.norm_constants import PARTS, constants, folded
from blockwise.nets.chain import ReplacedNorm
from devices.errors import InputError

BESIDE = "num_batches_tracked"


def deployed(
    source: Mapping[str, Tensor], wanted: Mapping[str, Tensor], replaced: Mapping[str, ReplacedNorm],
    eps: Mapping[str, float],
) -> dict[str, Tensor]:  # fmt: skip
    """``source`` with those of its batch norms that ``wanted`` lacks as constants, by the same names.

    ``replaced`` are the batch norms that the network goes without. ``eps`` has what the norms of the source
    add to variances where that is known; else it is what the network's own would add.
    """
    found = dict(source)
    for norm, told in replaced.items():
        weight, bias, mean, variance = (source.get(f"{norm}.{part}") for part in PARTS)
        if mean is None or variance is None:
            continue
        scale, shift = constants(weight, bias, mean, variance, eps.get(norm, told.eps))
        layer = told.layer
        if f"{norm}.scale" in wanted:
            made = {f"{norm}.scale": scale, f"{norm}.shift": shift, f"{norm}.ready": torch.ones(())}
        elif f"{layer}.bias" in wanted and f"{layer}.weight" in source:
            parts = folded(source[f"{layer}.weight"], source.get(f"{layer}.bias"), scale, shift)
            made = dict(zip((f"{layer}.weight", f"{layer}.bias"), parts, strict=True))
        elif f"{layer}.bias" in wanted or _is_identity(scale, shift):
            continue
        else:
            raise InputError(
                f"--init: norm {norm}", got="a trained norm of what no layer with weights gives to it alone",
                wanted="--norm frozen, which keeps it as constants", do="choose that in place of none",
            )  # fmt: skip
        for part in (*PARTS, BESIDE):
            found.pop(f"{norm}.{part}", None)
        found |= made
    return found


def _is_identity(scale: Tensor, shift: Tensor) -> bool:
    """Whether a norm does nothing, but for what it adds to variances: it was never trained."""
    return torch.allclose(scale, torch.ones_like(scale), atol=1e-2) and not shift.any()
