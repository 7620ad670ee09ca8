"""Kinds of layers by what a program may do with them."""

from devices.network import DROPOUTS
from devices.program.accountings import CODE_MAKERS

CODE_SCRATCH_BITS = 8
"""One filter's codes are unpacked to bytes (or to what wider codes take) before they are multiplied."""

ACCUMULATORS = ("conv", "linear")
"""Layers whose output a norm or a loss may overwrite."""

PASSIVE = ("view", "max_pool", *DROPOUTS, "cat")
"""Layers that hand codes on as codes."""

LOSSES = ("cross_entropy", "similarity_loss")
"""Layers that end a run: their gradient starts from what they saved."""

ENDS = (*LOSSES, "weighted_sum")
"""Layers behind which there is no gradient to wait for."""

ACTIVATIONS = ("relu", "leaky_relu")
"""Layers that a dropout may overwrite: what it drops has no gradient."""

ELEMENTWISE = (
    *CODE_MAKERS,
    "leaky_relu",
    "add",
    "batch_norm",
    "batch_norm_recompute",
    "group_norm",
    "frozen_norm",
)
"""Layers that can evaluate a streamed input on the fly."""
