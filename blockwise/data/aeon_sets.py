"""``aeon:NAME``: sets of the time series archives (UCR and UEA, .ts files) through the package aeon.

BasicMotions and some others come with the package; the rest it downloads.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from blockwise.data.arrays import set_of
from blockwise.data.dataset import RawSet
from blockwise.data.marks import Array
from devices.errors import InputError

PREFIX = "aeon:"
FOLDER = "aeon"
"""Of the user's cache, for what is downloaded."""

AS_THEY_ARE = {"load_equal_length": False, "load_no_missing": False}
"""Some versions would give series made equal in length, and values filled in."""


def load_aeon(name: str, cache_dir: Path | None, *, download: bool) -> RawSet:
    """The training and test series (N, C, L) of the set ``name``, without the prefix.

    Raises InputError without the package, for a set that is not there or does not exist, and for series of
    unequal lengths or with values missing.
    """
    if find_spec("aeon") is None:
        raise _error(name, "no package aeon", "what reads the archives", "pip install '.[timeseries]'")
    place = _place(name, cache_dir, download=download)
    found: dict[str, Array] = {}
    for part in ("train", "test"):
        series, labels = _load(name, part, place)
        if isinstance(series, list):
            lengths = sorted({one.shape[-1] for one in series})
            got = f"{part} series of {lengths[0]:,} to {lengths[-1]:,} steps"
            raise _error(name, got, "series of one length", "cut them into windows, and use an .npz file")
        found |= {f"x_{part}": series, f"y_{part}": np.asarray(labels).astype(str)}
    return set_of(f"{PREFIX}{name}", found)


def _load(name: str, part: str, place: Path | None) -> tuple[Any, Any]:
    from aeon.datasets import load_classification  # slow to import, and no other set needs it

    try:
        series, labels = load_classification(
            name, split=part, extract_path=None if place is None else str(place), **AS_THEY_ARE
        )
    except Exception as error:  # names that do not exist and failed downloads fail in many ways
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise _error(
            name, text, "a set for classification", "see its name at timeseriesclassification.com"
        ) from error
    return series, labels


def _place(name: str, cache_dir: Path | None, *, download: bool) -> Path | None:
    """Where the set lies; None for those of the package."""
    import aeon.datasets

    package = Path(aeon.datasets.__path__[0]) / "data"
    if not name.isidentifier():  # "../" and the like are no names
        raise _error(name, repr(name), "a set's name", "try aeon:BasicMotions")
    if (package / name / f"{name}_TRAIN.ts").exists():
        return None
    if cache_dir is None:
        raise _error(
            name, "a user without a home folder", "a place for its files", "set HOME or XDG_CACHE_HOME"
        )
    place = cache_dir / FOLDER
    if not download and not (place / name).exists():
        shipped = sorted(file.name.removesuffix("_TRAIN.ts") for file in package.glob("*/*_TRAIN.ts"))
        do = f"use --download, or one of {', '.join(shipped)}"
        raise _error(name, f"no files in {place / name}", "the files of the set", do)
    return place


def _error(name: str, got: str, wanted: str, do: str) -> InputError:
    return InputError(f"data set {PREFIX}{name}", got=got, wanted=wanted, do=do)
