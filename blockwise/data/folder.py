"""A set of images in folders: PATH/train/<class>/* and PATH/test/<class>/*, in any format Pillow reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from blockwise.data import cache
from blockwise.data.dataset import RawSet
from blockwise.data.decode import Pixels, decode_all, readable_suffixes
from blockwise.data.listing import File, Kind, Listing, list_folder
from blockwise.data.progress import ProgressCallback, reporting
from blockwise.data.samples import Split
from blockwise.system.notes import note
from blockwise.system.streams import as_text

IMAGES = Kind("image", readable_suffixes, "Pillow reads (.png, .jpg, .gif, ...)")


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
    listing = list_folder(path, IMAGES)
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
        elif list_folder(path, IMAGES).fingerprint() == fingerprint:
            cache.write(file, fingerprint, stored)
    for text in stored["notes"]:
        note(f"data {path}: {text}")
    # Beside test images sub-folders are no groups: sets have them for other reasons.
    names, numbers = numbered([] if listing.test else listing.groups())
    return RawSet(
        tuple(map(as_text, listing.classes)),
        _split(stored["train"], listing.train, numbers),
        _split(stored["test"], listing.test, None) if listing.test else None,
        names,
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


def _split(images: Pixels, files: Sequence[File], groups: Tensor | None) -> Split:
    return Split(torch.from_numpy(images).contiguous(), labels_of(files), groups)


def labels_of(files: Sequence[File]) -> Tensor:
    """The label of each file, int64 (N,)."""
    return torch.tensor([file.label for file in files], dtype=torch.int64)


def numbered(groups: Sequence[str]) -> tuple[tuple[str, ...], Tensor | None]:
    """The names of groups, and of each file the number of its name, int64 (N,); None without groups."""
    if not groups:
        return (), None
    names, numbers = np.unique(np.array(groups), return_inverse=True)
    return tuple(as_text(str(name)) for name in names), torch.from_numpy(numbers.astype(np.int64))
