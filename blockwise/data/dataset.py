"""A data set as uint8 tensors: one per split, held whole in memory. Images or signals: see :class:`Split`."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from blockwise.data.augment import Augment, Normalize
from devices.errors import InputError

LEVELS = 256
"""Grey levels of a uint8 channel; level 255 is 1.0 in the 0..1 scale."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images uint8 (N, C, H, W) with their labels int64 (N,); or signals (N, C, L), or features (N, F)."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or not 2 <= self.images.ndim <= 4:
            shape = tuple(self.images.shape)
            wanted = "uint8 (N, C, H, W), (N, C, L) or (N, F)"
            raise ValueError(f"images: got {self.images.dtype} {shape}, wanted {wanted}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            shape = tuple(self.labels.shape)
            raise ValueError(f"labels: got {self.labels.dtype} {shape}, wanted int64 (N,)")

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: Tensor) -> "Split":
        """The samples at ``index``, int64 (M,), as a new split (a copy)."""
        return Split(self.images.index_select(0, index), self.labels.index_select(0, index))

    def to(self, device: torch.device | str) -> "Split":
        """The same samples on ``device``; a set may live in an accelerator's memory."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class RawSet:
    """What a source delivers: named classes, the training images and the test images."""

    classes: tuple[str, ...]
    train: Split
    test: Split


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named set with its three splits and the augmentation that suits it by default.

    ``policy`` is that augmentation; ``augment`` is the same, filling with the set's mean colour.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    policy: Augment = field(default_factory=Augment)

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

    @property
    def augmentable(self) -> bool:
        """Whether the set has a default augmentation; the tiny digits have none."""
        return bool(self.policy)

    @property
    def augment(self) -> Augment:
        """The default augmentation."""
        return replace(self.policy, fill=self.fill)

    @property
    def fill(self) -> tuple[int, ...]:
        """The mean colour in levels 0..255 per channel: what normalisation maps to about zero."""
        return tuple(round((LEVELS - 1) * mean) for mean in self.mean)

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return channel_moments(self.train.images)

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


def split_validation(
    images: Tensor, labels: Tensor, fraction: float = 0.05, *, seed: int
) -> tuple[Split, Split]:
    """Divide images (N, C, H, W) and labels (N,) into (train, validation), class by class.

    Each class gives the nearest integer to ``fraction`` of its images to validation, at least one
    if it has two, and keeps at least one. Both splits keep the order of the input.
    """
    if not 0 < fraction < 1:
        raise InputError(
            "validation fraction", got=fraction, wanted="more than 0 and less than 1", do="try 0.05"
        )
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    for label in torch.bincount(labels).nonzero().flatten().tolist():
        members = (labels == label).nonzero().flatten()
        count = _held_out_count(len(members), fraction)
        held_out[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    whole = Split(images, labels)
    return whole.select((~held_out).nonzero().flatten()), whole.select(held_out.nonzero().flatten())


def _held_out_count(members: int, fraction: float) -> int:
    return min(max(round(members * fraction), 1), members - 1)


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
