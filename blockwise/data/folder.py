"""A set in folders: PATH/train/<class>/* and PATH/test/<class>/*, in any format Pillow reads."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from blockwise.data import cache
from blockwise.data.dataset import RawSet, Split
from blockwise.data.decode import Pixels, decode_all, readable_suffixes
from blockwise.data.progress import ProgressCallback, reporting
from devices.errors import InputError

LAYOUT = "PATH/train/CLASS/IMAGE and PATH/test/CLASS/IMAGE"


class ImageFile(NamedTuple):
    """One image file and what tells whether it has changed."""

    path: str
    label: int
    size: int
    """Bytes."""
    modified: int
    """Nanoseconds since the epoch."""


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, by class and then by name, with the classes sorted by name."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]

    def fingerprint(self) -> str:
        """A digest of every file's relative name, size and time of change."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self.train + self.test:
            name = file.path.removeprefix(str(self.root))
            digest.update(os.fsencode(f"{name}\0{file.size}\0{file.modified}\n"))
        return digest.hexdigest()


def load_folder(
    path: Path,
    *,
    image_size: int | None = None,
    cache_dir: Path | None = None,
    progress: ProgressCallback | None = None,
) -> RawSet:
    """Read the folder, from the cache if it has not changed since it was decoded.

    The set has one channel if every image is grey, else three. Raises InputError, in one line,
    for a folder, class or image that cannot be used.
    """
    listing = list_folder(path)
    file = cache.cache_file(cache_dir or cache.default_cache_dir(), path, image_size)
    fingerprint = listing.fingerprint()
    images = cache.read(file, fingerprint)
    if images is None:
        images = _decode(listing, image_size, progress)
        cache.write(file, fingerprint, images)
    return RawSet(
        listing.classes,
        _split(images["train"], listing.train),
        _split(images["test"], listing.test),
    )


def _decode(listing: Listing, image_size: int | None, progress: ProgressCallback | None) -> dict[str, Pixels]:
    paths = [file.path for file in listing.train + listing.test]
    with reporting(progress, f"decoding {listing.root.name}") as report:
        images, grey = decode_all(paths, image_size, report)
    kept = images[:, :1] if grey else images
    return {"train": kept[: len(listing.train)], "test": kept[len(listing.train) :]}


def _split(images: Pixels, files: Sequence[ImageFile]) -> Split:
    labels = torch.tensor([file.label for file in files], dtype=torch.int64)
    return Split(torch.from_numpy(images).contiguous(), labels)


def list_folder(path: Path) -> Listing:
    """Find the classes and images of a folder, or raise InputError."""
    for needed in (path, path / "train", path / "test"):
        if not os.path.isdir(needed):
            got = "something that is no folder" if os.path.exists(needed) else "no such folder"
            raise InputError(
                f"image folder {needed}", got=got, wanted=LAYOUT, do="check the path and its layout"
            )
    classes = _class_names(path / "train")
    _check_classes(path, classes, _class_names(path / "test"))
    train, test = (_files(path / split, classes) for split in ("train", "test"))
    for name in set(classes) - {classes[file.label] for file in train}:
        raise _no_images(path / "train" / name)
    if not test:
        raise _no_images(path / "test")
    return Listing(path, classes, train, test)


def _class_names(folder: Path) -> tuple[str, ...]:
    with os.scandir(folder) as entries:
        return tuple(sorted(e.name for e in entries if e.is_dir() and not e.name.startswith(".")))


def _check_classes(path: Path, train: Sequence[str], test: Sequence[str]) -> None:
    if len(train) < 2:
        raise InputError(
            f"image folder {path / 'train'}",
            got=f"{len(train)} class folders" if not train else f"one class, {train[0]!r}",
            wanted="at least two class folders with images",
            do="put the images of each class in a folder of its own",
        )
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise InputError(
            f"image folder {path / 'test'}",
            got=f"class {unknown[0]!r}, which train lacks",
            wanted=f"only classes of train ({', '.join(train)})",
            do=f"add {path / 'train' / unknown[0]} or remove the class from test",
        )


def _files(folder: Path, classes: Sequence[str]) -> tuple[ImageFile, ...]:
    suffixes = readable_suffixes()
    found: list[ImageFile] = []
    for label, name in enumerate(classes):
        if (folder / name).is_dir():
            found += _images(folder / name, label, suffixes)
    return tuple(found)


def _images(folder: Path, label: int, suffixes: frozenset[str]) -> list[ImageFile]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            suffix = os.path.splitext(entry.name)[1].lower()
            if suffix in suffixes and not entry.name.startswith(".") and entry.is_file():
                status = entry.stat()
                found.append(ImageFile(entry.path, label, status.st_size, status.st_mtime_ns))
    return sorted(found)


def _no_images(folder: Path) -> InputError:
    return InputError(
        f"image folder {folder}",
        got="no images",
        wanted="at least one file that Pillow reads (.png, .jpg, .gif, ...)",
        do="add images or remove the folder",
    )
