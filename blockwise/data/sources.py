"""Where sets come from: scikit-learn's digits, torchvision's downloads, or a folder of images."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from blockwise.data.augment import Augment
from blockwise.data.cache import default_cache_dir
from blockwise.data.dataset import Dataset, RawSet, Split, split_validation
from blockwise.data.folder import load_folder
from blockwise.data.progress import ProgressCallback
from blockwise.data.torchvision_sets import CIFAR10, CIFAR100, FASHION_MNIST, MNIST, SVHN
from blockwise.system.notes import note
from blockwise.system.sizes import check_room
from blockwise.system.streams import as_text
from devices.errors import InputError, unknown_name

DIGITS_TEST_FRACTION = 0.2
DIGITS_TEST_SEED = 20
"""Fixed, so that results on the test digits compare whatever seed a user picks."""
DIGITS_BRIGHTEST = 16
"""Highest pixel value of the bundled digits: pixels set in a 4x4 cell (sklearn.load_digits)."""
FULL_PADDING_FROM = 24
"""Shorter side in pixels from which the 4 pixel padding of the CIFAR recipe is used."""
RESIZE_BATCH = 1024


@dataclass(frozen=True)
class Source:
    """A named set: what it is, how to read it (cache folder, download) and how to augment it."""

    description: str
    read: Callable[[Path | None, bool], RawSet]
    augment: Augment


def read_digits(cache_dir: Path | None, download: bool) -> RawSet:
    """scikit-learn's bundled 1,797 digits, (1, 8, 8), a fifth of each class for test."""
    # Slow to import, and no other set needs it.
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    digits = load_digits()
    scaled = torch.from_numpy(digits.images).mul(255 / DIGITS_BRIGHTEST).round()
    images = scaled.to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(digits.target).to(torch.int64)
    train, test = split_validation(images, labels, DIGITS_TEST_FRACTION, seed=DIGITS_TEST_SEED)
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
}
"""The sets known by name; anything else is the path of an image folder."""


def load(
    name_or_path: str,
    *,
    image_size: int | None = None,
    seed: int = 0,
    cache_dir: Path | None = None,
    download: bool = False,
    progress: ProgressCallback | None = None,
) -> Dataset:
    """The set of that name, or the image folder at that path; InputError if it cannot be had.

    ``image_size`` (pixels) makes all images square. ``seed`` picks the validation images out of
    the training images. ``progress`` None shows a bar on a terminal.
    """
    if image_size is not None and image_size < 1:
        raise InputError("image size", got=image_size, wanted="at least 1 pixel", do="try 32")
    if name_or_path in SOURCES:
        _note_namesake(name_or_path)
        source = SOURCES[name_or_path]
        raw = source.read(cache_dir or default_cache_dir(), download)
        return _dataset(name_or_path, _resized(raw, image_size), source.augment, seed)
    path = _folder_path(name_or_path)
    raw = load_folder(path, image_size=image_size, cache_dir=cache_dir, progress=progress)
    _check_differences(path, raw.train.images)
    return _dataset(as_text(path.resolve().name), raw, folder_augment(raw.train.images), seed)


def _note_namesake(name: str) -> None:
    if os.path.isdir(name):
        note(f"data {name}: the set of that name is meant; --data {os.path.join('.', name)} names the folder")


def _check_differences(path: Path, images: Tensor) -> None:
    if all(torch.equal(image, images[0]) for image in images):
        flat = images.min() == images.max()
        alike = "pixels that all have one value" if flat else "images that are all alike"
        raise InputError(
            f"image folder {path / 'train'}", got=alike, wanted="images that differ, to learn from",
            do="see how the files were made",
        )  # fmt: skip


def folder_augment(images: Tensor) -> Augment:
    """The default for an unknown set (N, C, H, W): grey ones may hold writing, so no mirroring."""
    channels, shorter = images.shape[1], min(images.shape[2:])
    if channels == 1:
        return Augment(crop_padding=2)
    return Augment(crop_padding=4 if shorter >= FULL_PADDING_FROM else 2, flip=True)


def _dataset(name: str, raw: RawSet, augment: Augment, seed: int) -> Dataset:
    train, validation = split_validation(raw.train.images, raw.train.labels, seed=seed)
    return Dataset(name, raw.classes, train, validation, raw.test, augment)


def _folder_path(given: str) -> Path:
    path = os.path.expanduser(given)
    looks_like_path = any(sign in given for sign in ("/", os.sep)) or given.startswith((".", "~"))
    if os.path.exists(path) or looks_like_path:
        return Path(path)
    error = unknown_name("data set", given, SOURCES)
    raise InputError(
        error.subject,
        got=error.got,
        wanted=f"{error.wanted}, or the path of an image folder",
        do=error.do,
    )


def _resized(raw: RawSet, image_size: int | None) -> RawSet:
    if image_size is None or raw.train.images.shape[2:] == (image_size, image_size):
        return raw
    images = raw.train.images
    pixels = image_size**2 * images.shape[1] * (len(images) + len(raw.test))
    check_room("--image-size", f"images of {image_size}x{image_size}", pixels)
    train, test = (Split(resize(split.images, image_size), split.labels) for split in (raw.train, raw.test))
    return RawSet(raw.classes, train, test)


def resize(images: Tensor, size: int) -> Tensor:
    """Square images uint8 (N, C, H, H) to (N, C, size, size), bilinear with antialiasing."""
    # In pieces: the resampling kernels hold a float copy of what they work on.
    pieces = [
        functional.interpolate(piece, (size, size), mode="bilinear", antialias=True)
        for piece in torch.split(images, RESIZE_BATCH)
    ]
    return torch.cat(pieces)
