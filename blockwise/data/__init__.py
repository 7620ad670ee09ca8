"""Data sets as uint8 tensors: sources, augmentation on whole batches, reproducible batches."""

from blockwise.data.augment import Augment, Normalize
from blockwise.data.dataset import Dataset, RawSet, blank, channel_moments, check_batch_size
from blockwise.data.folder import load_folder
from blockwise.data.loader import ToInput, batch_count, batch_indices, batches, generator, permutation
from blockwise.data.partition import VALIDATION, split_validation
from blockwise.data.policies import AUGMENTS, DEFAULT_AUGMENT
from blockwise.data.progress import ProgressCallback, silent
from blockwise.data.samples import Samples, Split
from blockwise.data.scaling import Scaling
from blockwise.data.signal_augment import Augmentation, SignalAugment
from blockwise.data.sources import SOURCES, Source, is_named, load

__all__ = [
    "AUGMENTS",
    "DEFAULT_AUGMENT",
    "SOURCES",
    "VALIDATION",
    "Augment",
    "Augmentation",
    "Dataset",
    "Normalize",
    "ProgressCallback",
    "RawSet",
    "Samples",
    "Scaling",
    "SignalAugment",
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
    "is_named",
    "load",
    "load_folder",
    "permutation",
    "silent",
    "split_validation",
]
