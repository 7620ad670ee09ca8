"""The images that a training sees, in its order, as bytes."""

from collections.abc import Iterator
from itertools import count

from torch import Tensor

from blockwise.data import batches
from blockwise.experiment.prepared import Prepared


def run_batches(prepared: Prepared) -> Iterator[tuple[Tensor, Tensor]]:
    """uint8 images (B, C, H, W) and labels (B,), epoch by epoch without end, augmented as in training."""
    data, training = prepared.dataset, prepared.config.training
    for epoch in count():
        yield from batches(
            data.train, training.batch_size, normalize=lambda images: images, seed=training.seed,
            epoch=epoch, shuffle=True, augment=data.augment if data.augmentable else None, drop_last=True,
        )  # fmt: skip
