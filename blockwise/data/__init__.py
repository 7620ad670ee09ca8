"""Data sets as uint8 tensors: sources, augmentation on whole batches, reproducible batches."""

from blockwise.data.augment import Augment, Normalize
from blockwise.data.dataset import (
    Dataset,
    RawSet,
    Split,
    blank,
    channel_moments,
    check_batch_size,
    split_validation,
)
from blockwise.data.folder import load_folder
from blockwise.data.loader import ToInput, batch_count, batch_indices, batches, generator, permutation
from blockwise.data.progress import ProgressCallback, silent
from blockwise.data.sources import SOURCES, Source, load

__all__ = [
    "SOURCES",
    "Augment",
    "Dataset",
    "Normalize",
    "ProgressCallback",
    "RawSet",
    "Source",
    "Split",
    "ToInput",
    "batch_count",
    "batch_indices",
    "batches",
    "blank",
    "channel_moments",
    "check_batch_size",
    "generator",
    "load",
    "load_folder",
    "permutation",
    "silent",
    "split_validation",
]
