"""The augmentation that suits a set of which nothing is known but its samples."""

from collections.abc import Sequence

import torch
from torch import Tensor

from blockwise.data.augment import Augment
from blockwise.data.samples import Samples
from blockwise.data.signal_augment import Augmentation, SignalAugment

DEFAULT_AUGMENT = "default"
AUGMENTS = (DEFAULT_AUGMENT, "none")
"""What suits a set, or none."""
FULL_PADDING_FROM = 24
"""Shorter side in pixels from which the 4 pixel padding of the CIFAR recipe is used."""
MOST_PADDING = 4
"""Of the shorter side at most this part, lest all be cropped away."""
MOVED = 20
"""A signal is shifted by up to this part of its length."""
SCALED = 0.1
"""Standard deviation of the factor of a signal: that of Um et al. 2017."""
JITTER = 2.0
"""Levels: a twentieth of a normal signal's deviation, whose 256 levels hold 6.6 of them."""


def own_augment(samples: Samples) -> Augmentation:
    """The default for an unknown set: of images, signals or spectra; none of features and other maps."""
    return augment_of(samples.images.shape[1:], pixels=samples.images.dtype == torch.uint8)


def augment_of(shape: Sequence[int], *, pixels: bool) -> Augmentation:
    """The same of samples of ``shape``; ``pixels``: they came as bytes."""
    if len(shape) == 2:
        return SignalAugment(shape[1] // MOVED, SCALED, JITTER)
    if len(shape) == 3 and pixels:
        return _image_augment(shape[0], min(shape[1:]))
    if len(shape) == 3 and shape[0] == 1:
        return SignalAugment(shape[1] // MOVED)  # of spectra the second axis is time
    return Augment()


def folder_augment(images: Tensor) -> Augment:
    """The default for an unknown set (N, C, H, W): grey ones may hold writing, so no mirroring."""
    return _image_augment(images.shape[1], min(images.shape[2:]))


def _image_augment(channels: int, shorter: int) -> Augment:
    padding = 4 if channels > 1 and shorter >= FULL_PADDING_FROM else 2
    return Augment(crop_padding=min(padding, shorter // MOST_PADDING), flip=channels > 1)
