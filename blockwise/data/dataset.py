"""A data set as uint8 tensors: one per split, held whole in memory."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from blockwise.data.augment import Augment, Normalize
from blockwise.data.samples import Samples, Split
from blockwise.data.scaling import LEVELS, Scaling
from blockwise.data.signal_augment import Augmentation, SignalAugment
from devices.errors import InputError


@dataclass(frozen=True, eq=False)
class RawSet:
    """What a source delivers: named classes, training and test samples, and the names of their groups.

    ``test`` is None where the source has none: some of the others will be.
    """

    classes: tuple[str, ...]
    train: Samples
    test: Samples | None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named set with its three splits and the augmentation that suits it by default.

    ``policy`` is that augmentation; ``augment`` is the same, filling with the set's mean colour.
    ``scaling`` made bytes of values that were none; ``groups`` are the names of the splits' groups.
    ``moments``, mean and deviation per channel, are taken instead of those of the training samples: a
    deployed network keeps the constants that it was made with.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    policy: Augmentation = field(default_factory=Augment)
    scaling: Scaling | None = None
    groups: tuple[str, ...] = ()
    moments: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @property
    def in_shape(self) -> tuple[int, ...]:
        """(C, H, W) of one image, (C, L) of a signal, (F,) of features."""
        return tuple(self.train.images.shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all images and labels, for whatever must not be mixed up."""
        digest = hashlib.blake2b(digest_size=16)
        for split in (self.train, self.validation, self.test):
            digest.update(split.images.contiguous().numpy().data)
            digest.update(split.labels.numpy().data)
        return digest.hexdigest()

    @cached_property
    def contents(self) -> str:
        """A hash of all images with their labels, however they are split: it tells sets of one name apart."""
        samples = []
        for split in (self.train, self.validation, self.test):
            images = split.images.contiguous().numpy()
            for image, label in zip(images, split.labels.tolist(), strict=True):
                digest = hashlib.blake2b(image.data, digest_size=16)
                digest.update(str(label).encode())
                samples.append(digest.digest())
        return hashlib.blake2b(b"".join(sorted(samples)), digest_size=16).hexdigest()

    def groups_in(self, split: Split) -> tuple[str, ...]:
        """The names of the groups that ``split`` has samples of; () where they are not known."""
        return () if split.groups is None else tuple(self.groups[g] for g in split.groups.unique().tolist())

    @property
    def augmentable(self) -> bool:
        """Whether the set has a default augmentation; the tiny digits have none."""
        return bool(self.policy)

    @property
    def augment(self) -> Augmentation:
        """The default augmentation."""
        if isinstance(self.policy, SignalAugment):
            return replace(self.policy, fill=self.fill, scaling=self.scaling)
        return replace(self.policy, fill=self.fill)

    @property
    def fill(self) -> tuple[int, ...]:
        """The mean colour in levels 0..255 per channel: what normalisation maps to about zero."""
        return tuple(round((LEVELS - 1) * mean) for mean in self.mean)

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return channel_moments(self.train.images) if self.moments is None else self.moments

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel over the training split, in the 0..1 scale."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel over the training split, in the 0..1 scale."""
        return self._moments[1]

    @property
    def normalize(self) -> Normalize:
        """uint8 to float32 with zero mean and unit variance per channel of the training split."""
        return Normalize(self.mean, self.std)


def blank(in_shape: tuple[int, ...], classes: int) -> Dataset:
    """A set without images: only their shape and the number of classes, for planning."""
    empty = Split(torch.empty(0, *in_shape, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
    names = tuple(f"class {number}" for number in range(classes))
    return Dataset("no data", names, empty, empty, empty)


def channel_moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and (population) standard deviation per channel of uint8 (N, C, ...), in 0..1."""
    # Histograms: counts are integers, so the sums are exact whatever the order and thread count.
    levels = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)
    means, stds = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.reshape(-1), minlength=LEVELS).double() / channel.numel()
        mean = float((share * levels).sum())
        means.append(mean)
        stds.append(float((share * (levels - mean).square()).sum().sqrt()))
    return tuple(means), tuple(stds)


def check_batch_size(batch_size: int, dataset: Dataset) -> None:
    """Raise InputError unless the training split fills at least one batch."""
    largest = len(dataset.train)
    if not 1 <= batch_size <= largest:
        raise InputError(
            "batch size",
            got=batch_size,
            wanted=f"1 to {largest}, the training images of {dataset.name}",
            do=f"use --batch-size {min(max(batch_size, 1), largest)}",
        )
