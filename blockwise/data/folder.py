"""A set in folders: PATH/train/<class>/* and PATH/test/<class>/*, in any format Pillow reads."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from blockwise.data import cache
from blockwise.data.dataset import RawSet
from blockwise.data.decode import Pixels, decode_all, readable_suffixes
from blockwise.data.progress import ProgressCallback, reporting
from blockwise.data.samples import Split
from blockwise.system.files import reason
from blockwise.system.notes import note
from blockwise.system.streams import as_text
from devices.errors import InputError

LAYOUT = "PATH/train/CLASS/IMAGE and PATH/test/CLASS/IMAGE"
"""Images may also lie in folders within that of their class."""


class ImageFile(NamedTuple):
    """One image file and what tells whether it has changed."""

    path: str
    label: int
    state: tuple[int, ...]
    """Size, times of change and inode: see :func:`_state`."""


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, by class and then by name, with the classes sorted by name."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]

    def fingerprint(self) -> str:
        """A digest of every file's relative name and state."""
        start = len(str(self.root / "train")) - len("train")  # however the root is spelt, "." for one
        lines = (f"{file.path[start:]}\0{file.state}\n" for file in self.train + self.test)
        return hashlib.blake2b(os.fsencode("".join(lines)), digest_size=16).hexdigest()


def load_folder(
    path: Path,
    *,
    image_size: int | None = None,
    cache_dir: Path | None = None,
    progress: ProgressCallback | None = None,
) -> RawSet:
    """Read the folder, from the cache if it has not changed since it was decoded.

    The set has one channel if every image is grey, else three. Raises InputError, in one line,
    for a folder, class or image that cannot be used; notes what was made of the images.
    """
    listing = list_folder(path)
    cache_dir = cache_dir or cache.default_cache_dir()
    stored = None
    if cache_dir is not None:
        file, fingerprint = cache.cache_file(cache_dir, path, image_size), listing.fingerprint()
        stored = cache.read(file, fingerprint)
    if stored is None:
        stored = _decode(listing, image_size, progress)
        if cache_dir is None:
            note("no home folder: images are decoded again each time; XDG_CACHE_HOME may name another place")
        # Files that change while they are read must not be taken for what was read.
        elif list_folder(path).fingerprint() == fingerprint:
            cache.write(file, fingerprint, stored)
    for text in stored["notes"]:
        note(f"data {path}: {text}")
    return RawSet(
        tuple(map(as_text, listing.classes)),
        _split(stored["train"], listing.train),
        _split(stored["test"], listing.test),
    )


def _decode(
    listing: Listing, image_size: int | None, progress: ProgressCallback | None
) -> dict[str, npt.NDArray[Any]]:
    paths = [file.path for file in listing.train + listing.test]
    training = len(listing.train)
    with reporting(progress, f"decoding {listing.root.name}") as report:
        images = decode_all(paths, image_size, report, training)
    kept = images.pixels[:, :1] if images.grey else images.pixels
    return {"train": kept[:training], "test": kept[training:], "notes": np.array(images.notes, dtype=np.str_)}


def _split(images: Pixels, files: Sequence[ImageFile]) -> Split:
    labels = torch.tensor([file.label for file in files], dtype=torch.int64)
    return Split(torch.from_numpy(images).contiguous(), labels)


def list_folder(path: Path) -> Listing:
    """Find the classes and images of a folder, or raise InputError."""
    try:
        return _list_folder(path)
    except OSError as error:
        subject = f"image folder {os.fsdecode(error.filename) if error.filename else path}"
        raise InputError(
            subject, got=reason(error), wanted="a folder that can be read", do="see to its permissions"
        ) from error


def _list_folder(path: Path) -> Listing:
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
            found += sorted(_images(str(folder / name), label, suffixes, ()))
    return tuple(found)


def _images(folder: str, label: int, suffixes: frozenset[str], above: tuple[str, ...]) -> Iterator[ImageFile]:
    """The images in ``folder`` and the folders in it, in any order; a link back up is not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if os.path.splitext(entry.name)[1].lower() in suffixes and entry.is_file():
                yield ImageFile(entry.path, label, _state(entry.stat()))
            elif entry.is_dir():
                within = (*above, os.path.realpath(folder))
                if os.path.realpath(entry.path) not in within:
                    yield from _images(entry.path, label, suffixes, within)


def _state(status: os.stat_result) -> tuple[int, ...]:
    """What differs once a file's content does.

    Size and time of modification alone can be put back, as ``cp -p`` and ``rsync -t`` do; the time of
    the inode's change cannot, and another file that takes the name has another inode.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _no_images(folder: Path) -> InputError:
    return InputError(
        f"image folder {folder}",
        got="no images",
        wanted="at least one file that Pillow reads (.png, .jpg, .gif, ...)",
        do="add images or remove the folder",
    )
