"""Layers that compare images, where a pass has one alone."""

import math
from collections.abc import Sequence

from devices.network import Layer
from devices.network.ops import SimilarityLoss
from devices.trainability.outcome import Obstacle


def fewest_images(batch: int, micro_batch: int) -> int:
    """Images in the smallest pass of a step: what is left over makes a micro-batch of its own."""
    return batch if micro_batch >= batch else batch % micro_batch or micro_batch


def one_alone(layers: Sequence[Layer], batch: int, micro_batch: int) -> Obstacle | None:
    """Why a pass of one image through ``layers`` cannot be; None if there is none, or it can."""
    if fewest_images(batch, micro_batch) > 1:
        return None
    reason = _comparing(layers)
    if not reason:
        return None
    alone = batch == 1
    return Obstacle(
        f"one image alone, but {reason}",
        "--batch-size" if alone else "--micro-batch",
        "1" if alone else f"{micro_batch}, which leaves one image alone",
        f"at least 2 images at a time, since {reason}",
        "use a larger batch or another --head, --norm or --model",
    )


def _comparing(layers: Sequence[Layer]) -> str:
    """What needs two images at a time; empty if nothing does."""
    reasons = ((layer.name, _reason(layer)) for layer in layers)
    return next((f"{reason} ({name})" for name, reason in reasons if reason), "")


def _reason(layer: Layer) -> str:
    if isinstance(layer.op, SimilarityLoss):
        return "the similarity loss compares samples"
    if layer.op.batch_statistics and math.prod(layer.shape[1:]) == 1:
        features = "maps of one pixel" if len(layer.shape) == 3 else "flat features"
        return f"the norm of {features} compares samples"
    return ""
