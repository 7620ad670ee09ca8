"""Where sets come from: bundled and downloaded ones by name, or the user's own by path."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from blockwise.data.arrays import SUFFIX as ARRAYS
from blockwise.data.arrays import holds_arrays, load_arrays
from blockwise.data.assembling import TEST_SEED, TEST_SHARE, Parting, assemble
from blockwise.data.augment import Augment
from blockwise.data.cache import default_cache_dir
from blockwise.data.dataset import Dataset, RawSet
from blockwise.data.folder import load_folder
from blockwise.data.partition import VALIDATION, split_validation
from blockwise.data.progress import ProgressCallback
from blockwise.data.samples import Samples, Split
from blockwise.data.signal_augment import Augmentation, SignalAugment
from blockwise.data.torchvision_sets import CIFAR10, CIFAR100, FASHION_MNIST, MNIST, SVHN
from blockwise.data.watch import VALIDATION as WATCH_VALIDATION
from blockwise.data.watch import WINDOW as WATCH_WINDOW
from blockwise.data.watch import read_watch
from blockwise.system.notes import note
from blockwise.system.sizes import check_room
from blockwise.system.streams import as_text
from devices.errors import InputError, unknown_name

DIGITS_BRIGHTEST = 16
"""Highest pixel value of the bundled digits: pixels set in a 4x4 cell (sklearn.load_digits)."""
FULL_PADDING_FROM = 24
"""Shorter side in pixels from which the 4 pixel padding of the CIFAR recipe is used."""
RESIZE_BATCH = 1024
MOVED = 20
"""A signal is shifted by up to this part of its length."""
SCALED = 0.1
"""Standard deviation of the factor of a signal: that of Um et al. 2017."""
JITTER = 2.0
"""Levels: a twentieth of a normal signal's deviation, whose 256 levels hold 6.6 of them."""


@dataclass(frozen=True)
class Source:
    """A named set: what it is, how to read it (cache folder, download) and how to augment it."""

    description: str
    read: Callable[[Path | None, bool], RawSet]
    augment: Augmentation
    validation: float = VALIDATION  # share of the training samples, by default


def read_digits(cache_dir: Path | None, download: bool) -> RawSet:
    """scikit-learn's bundled 1,797 digits, (1, 8, 8), a fifth of each class for test."""
    # Slow to import, and no other set needs it.
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    digits = load_digits()
    scaled = torch.from_numpy(digits.images).mul(255 / DIGITS_BRIGHTEST).round()
    images = scaled.to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(digits.target).to(torch.int64)
    train, test = split_validation(images, labels, TEST_SHARE, seed=TEST_SEED)
    return RawSet(tuple(str(digit) for digit in range(10)), train, test)


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
        "windows of 2 s of 7 exercises by 10 people, 6x100, of the package seglearn",
        read_watch,
        SignalAugment(WATCH_WINDOW // MOVED, SCALED, JITTER),
        WATCH_VALIDATION,
    ),
}
"""The sets known by name; anything else is the path of an image folder."""


def load(
    name_or_path: str,
    *,
    image_size: int | None = None,
    seed: int = 0,
    validation: float | None = None,
    hold_out: tuple[str, ...] = (),
    cache_dir: Path | None = None,
    download: bool = False,
    progress: ProgressCallback | None = None,
) -> Dataset:
    """The set of that name, or the images or arrays at that path; InputError if it cannot be had.

    ``image_size`` (pixels) makes all images square. ``seed`` picks the validation samples, a share
    ``validation`` of the training samples; None is what suits the set. ``hold_out`` names the groups that
    are tested on, in place of the set's own test samples. ``progress`` None shows a bar on a terminal.
    """
    if image_size is not None and image_size < 1:
        raise InputError("image size", got=image_size, wanted="at least 1 pixel", do="try 32")
    if name_or_path in SOURCES:
        _note_namesake(name_or_path)
        source = SOURCES[name_or_path]
        raw = source.read(cache_dir or default_cache_dir(), download)
        parting = Parting(source.validation if validation is None else validation, hold_out, seed)
        return assemble(name_or_path, _resized(raw, image_size), source.augment, parting)
    path = _own_path(name_or_path)
    name = as_text(path.resolve().name)
    if path.suffix.lower() == ARRAYS or holds_arrays(path):
        name = name.removesuffix(path.suffix) if path.suffix.lower() == ARRAYS else name
        raw = _resized(load_arrays(path), image_size)
    else:
        raw = load_folder(path, image_size=image_size, cache_dir=cache_dir, progress=progress)
    _check_differences(path, raw.train.images)
    parting = Parting(VALIDATION if validation is None else validation, hold_out, seed)
    return assemble(name, raw, own_augment(raw.train), parting)


def _note_namesake(name: str) -> None:
    if os.path.isdir(name):
        note(f"data {name}: the set of that name is meant; --data {os.path.join('.', name)} names the folder")


def _check_differences(path: Path, images: Tensor) -> None:
    if all(torch.equal(image, images[0]) for image in images):
        flat, folder = images.min() == images.max(), path.is_dir() and not holds_arrays(path)
        what = "images" if folder else "samples"
        alike = (
            f"{'pixels' if folder else 'values'} that all have one value"
            if flat
            else f"{what} that are all alike"
        )
        raise InputError(
            f"image folder {path / 'train'}" if folder else f"data {path}: x_train", got=alike,
            wanted=f"{what} that differ, to learn from",
            do="see how the files were made",
        )  # fmt: skip


def folder_augment(images: Tensor) -> Augment:
    """The default for an unknown set (N, C, H, W): grey ones may hold writing, so no mirroring."""
    channels, shorter = images.shape[1], min(images.shape[2:])
    if channels == 1:
        return Augment(crop_padding=2)
    return Augment(crop_padding=4 if shorter >= FULL_PADDING_FROM else 2, flip=True)


def own_augment(samples: Samples) -> Augmentation:
    """The default for an unknown set: of images, as in a folder; of signals; none of features and maps."""
    if samples.images.ndim == 3:
        return SignalAugment(samples.images.shape[2] // MOVED, SCALED, JITTER)
    images = samples.images.ndim == 4 and samples.images.dtype == torch.uint8
    return folder_augment(samples.images) if images else Augment()


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


def _resized(raw: RawSet, image_size: int | None) -> RawSet:
    if image_size is None or raw.train.images.shape[2:] == (image_size, image_size):
        return raw
    images, test = raw.train.images, raw.test
    if images.ndim != 4 or images.dtype != torch.uint8 or images.shape[2] != images.shape[3]:
        shape = "x".join(map(str, images.shape[1:]))
        raise InputError(
            "--image-size",
            got=f"samples of {shape}",
            wanted="square images of 8 bits to resize",
            do="leave it out",
        )
    pixels = image_size**2 * images.shape[1] * (len(images) + (0 if test is None else len(test)))
    check_room("--image-size", f"images of {image_size}x{image_size}", pixels)
    sized = [
        None if part is None else Split(resize(part.images, image_size), part.labels, part.groups)
        for part in (raw.train, test)
    ]
    assert sized[0] is not None
    return RawSet(raw.classes, sized[0], sized[1], raw.groups)


def resize(images: Tensor, size: int) -> Tensor:
    """Square images uint8 (N, C, H, H) to (N, C, size, size), bilinear with antialiasing."""
    # In pieces: the resampling kernels hold a float copy of what they work on.
    pieces = [
        functional.interpolate(piece, (size, size), mode="bilinear", antialias=True)
        for piece in torch.split(images, RESIZE_BATCH)
    ]
    return torch.cat(pieces)
