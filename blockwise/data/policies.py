"""The augmentation that suits a set of which nothing is known but its samples."""

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
MOVED = 20
"""A signal is shifted by up to this part of its length."""
SCALED = 0.1
"""Standard deviation of the factor of a signal: that of Um et al. 2017."""
JITTER = 2.0
"""Levels: a twentieth of a normal signal's deviation, whose 256 levels hold 6.6 of them."""


def own_augment(samples: Samples) -> Augmentation:
    """The default for an unknown set: of images, signals or spectra; none of features and other maps."""
    images = samples.images
    if images.ndim == 3:
        return SignalAugment(images.shape[2] // MOVED, SCALED, JITTER)
    if images.ndim == 4 and images.dtype == torch.uint8:
        return folder_augment(images)
    if images.ndim == 4 and images.shape[1] == 1:
        return SignalAugment(images.shape[2] // MOVED)  # of spectra the second axis is time
    return Augment()


def folder_augment(images: Tensor) -> Augment:
    """The default for an unknown set (N, C, H, W): grey ones may hold writing, so no mirroring."""
    channels, shorter = images.shape[1], min(images.shape[2:])
    if channels == 1:
        return Augment(crop_padding=2)
    return Augment(crop_padding=4 if shorter >= FULL_PADDING_FROM else 2, flip=True)
