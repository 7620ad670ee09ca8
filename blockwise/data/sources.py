"""Where sets come from: bundled and downloaded ones by name, or the user's own by path."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from blockwise.data.aeon_sets import PREFIX as AEON
from blockwise.data.aeon_sets import load_aeon
from blockwise.data.assembling import TEST_SEED, TEST_SHARE, Parting, assemble
from blockwise.data.augment import Augment
from blockwise.data.cache import default_cache_dir
from blockwise.data.dataset import Dataset, RawSet
from blockwise.data.own_sets import no_recordings, read_own
from blockwise.data.partition import VALIDATION, split_validation
from blockwise.data.policies import DEFAULT_AUGMENT, JITTER, MOVED, SCALED, own_augment
from blockwise.data.progress import ProgressCallback
from blockwise.data.resizing import resized
from blockwise.data.signal_augment import Augmentation, SignalAugment
from blockwise.data.torchvision_sets import CIFAR10, CIFAR100, FASHION_MNIST, MNIST, SVHN
from blockwise.data.watch import TURN as WATCH_TURN
from blockwise.data.watch import VALIDATION as WATCH_VALIDATION
from blockwise.data.watch import WINDOW as WATCH_WINDOW
from blockwise.data.watch import read_watch
from blockwise.system.notes import note
from devices.errors import InputError, unknown_name

DIGITS_BRIGHTEST = 16
"""Highest pixel value of the bundled digits: pixels set in a 4x4 cell (sklearn.load_digits)."""


@dataclass(frozen=True)
class Source:
    """A named set: what it is, how to read it (cache folder, download) and how to augment it."""

    description: str
    read: Callable[[Path | None, bool], RawSet]
    augment: Augmentation
    validation: float = VALIDATION  # share of the training samples, by default


def read_digits(cache_dir: Path | None, download: bool) -> RawSet:
    """scikit-learn's bundled 1,797 digits, (1, 8, 8), a fifth of each class for test."""
    pixels, target = _bundled_digits()
    scaled = torch.from_numpy(pixels).reshape(-1, 8, 8).mul(255 / DIGITS_BRIGHTEST).round()
    images = scaled.to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(target).to(torch.int64)
    train, test = split_validation(images, labels, TEST_SHARE, seed=TEST_SEED)
    return RawSet(tuple(str(digit) for digit in range(10)), train, test)


@cache
def _bundled_digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (1797, 64) and classes, from the package's file: to import it takes longer than a whole plan.

    Nobody writes into them: they are read once.
    """
    package = find_spec("sklearn")
    path = Path(package.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if package else None
    if path is not None and path.exists():
        table = np.loadtxt(path, delimiter=",")
        return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    digits = load_digits()
    return digits.data, digits.target


SOURCES: dict[str, Source] = {
    "digits": Source("1,797 handwritten digits, 1x8x8, bundled with scikit-learn", read_digits, Augment()),
    "cifar10": Source(
        "60,000 photos in 10 classes, 3x32x32", CIFAR10.read, Augment(crop_padding=4, flip=True)
    ),
    "cifar100": Source(
        "60,000 photos in 100 classes, 3x32x32", CIFAR100.read, Augment(crop_padding=4, flip=True)
    ),
    "mnist": Source("70,000 handwritten digits, 1x28x28", MNIST.read, Augment()),
    "fashion-mnist": Source(
        "70,000 clothes, 1x28x28", FASHION_MNIST.read, Augment(crop_padding=2, flip=True)
    ),
    "svhn": Source("99,289 house numbers, 3x32x32", SVHN.read, Augment(crop_padding=4)),
    "watch": Source(
        "windows of 4 s of 7 exercises by 10 people, 6x200, of the package seglearn",
        read_watch,
        SignalAugment(WATCH_WINDOW // MOVED, SCALED, JITTER, turn=WATCH_TURN),
        WATCH_VALIDATION,
    ),
}
"""The sets known by name; anything else is the path of a set of one's own."""


def is_named(name_or_path: str) -> bool:
    """Whether it is a set that everybody finds by this name; else it is a path."""
    return name_or_path in SOURCES or name_or_path.startswith(AEON)


def load(
    name_or_path: str,
    *,
    image_size: int | None = None,
    seed: int = 0,
    validation: float | None = None,
    hold_out: tuple[str, ...] = (),
    augment: str = DEFAULT_AUGMENT,
    features: str | None = None,
    cache_dir: Path | None = None,
    download: bool = False,
    progress: ProgressCallback | None = None,
) -> Dataset:
    """The set of that name, or the images or arrays at that path; InputError if it cannot be had.

    ``image_size`` (pixels) makes all images square. ``seed`` picks the validation samples, a share
    ``validation`` of the training samples; None is what suits the set. ``hold_out`` names the groups that
    are tested on, in place of the set's own test samples. ``augment`` is "default", what suits the set, or
    "none". ``features`` says what a folder of recordings
    gives: "log-mel", "log-mel:BANDS" or "waveform". ``progress`` None shows a bar on a terminal.
    """
    if image_size is not None and image_size < 1:
        raise InputError("image size", got=image_size, wanted="at least 1 pixel", do="try 32")
    if name_or_path in SOURCES:
        _note_namesake(name_or_path)
        if features is not None:
            raise no_recordings(name_or_path)
        source = SOURCES[name_or_path]
        name, share, policy = name_or_path, source.validation, source.augment
        raw = resized(source.read(cache_dir or default_cache_dir(), download), image_size)
    else:
        share = VALIDATION
        if name_or_path.startswith(AEON):
            name = name_or_path.removeprefix(AEON)
            raw = load_aeon(name, cache_dir or default_cache_dir(), download=download)
        else:
            name, raw = read_own(_own_path(name_or_path), image_size, features, cache_dir, progress)
        policy = own_augment(raw.train)
    parting = Parting(share if validation is None else validation, hold_out, seed)
    return assemble(name, raw, policy if augment == DEFAULT_AUGMENT else Augment(), parting)


def _note_namesake(name: str) -> None:
    if os.path.isdir(name):
        note(f"data {name}: the set of that name is meant; --data {os.path.join('.', name)} names the folder")


def _own_path(given: str) -> Path:
    path = os.path.expanduser(given)
    looks_like_path = any(sign in given for sign in ("/", os.sep)) or given.startswith((".", "~"))
    if os.path.exists(path) or looks_like_path:
        return Path(path)
    error = unknown_name("data set", given, SOURCES)
    raise InputError(
        error.subject,
        got=error.got,
        wanted=f"{error.wanted}, or the path of an image folder or .npz file",
        do=error.do,
    )
