"""The images from which quantizers and frozen norms take their constants, before the first step.

A single image has no variance in flat features, and its largest activation may be far from others': small
batches are put together. A device passes the images in turn and adds up what the constants are made of.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

IMAGES = 16
"""At least so many, unless an epoch has fewer."""


def first_images(batches: Iterable[Tensor]) -> Tensor:
    """The first of ``batches`` (B, ...), all of one layout; so many that they hold :data:`IMAGES`."""
    found: list[Tensor] = []
    for batch in batches:
        found.append(batch)
        if sum(map(len, found)) >= IMAGES:
            break
    return found[0] if len(found) == 1 else torch.cat(found)
