"""The augmentation of a training as a condition of it: None, or words where it is another than the usual one.

The usual one is what such samples get where nothing else is known of them: that of folders and arrays. The
same images can have another by a name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from blockwise.data import Dataset
from blockwise.data.policies import augment_of
from blockwise.data.signal_augment import Augmentation
from blockwise.data.sources import SOURCES


def told(images: Dataset) -> str | None:
    """That of trainings on ``images``."""
    return _told(images.policy, images.in_shape, pixels=images.scaling is None)


def told_by_name(row: Mapping[str, Any]) -> str | None:
    """That of a line which does not tell: its set's, if it has a name that is known, else the usual one."""
    source, shape = SOURCES.get(row.get("data", "")), row.get("in_shape")
    return _told(source.augment, shape, pixels=True) if source and shape else None


def _told(policy: Augmentation, shape: Sequence[int], *, pixels: bool) -> str | None:
    usual = augment_of(shape, pixels=pixels)
    return None if str(policy) == str(usual) else str(policy)
