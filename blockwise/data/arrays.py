"""A set as NumPy arrays: an .npz file, or a folder with a .npy file for each of the same names.

``x_train`` (N, F), (N, C, L) or (N, C, H, W), ``y_train`` (N,), the same for test unless some of the training
samples are to be, and ``group_train``, ``group_test`` (N,): whose recording each sample is, if that is known.
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from blockwise.data.dataset import RawSet
from blockwise.data.marks import Array, Source, coded, grouped, wrong
from blockwise.data.samples import RANKS, Samples
from blockwise.data.scaling import LEVELS
from blockwise.system.files import reason
from blockwise.system.lists import first_few
from devices.errors import InputError

SUFFIX = ".npz"
NAMES = ("x_train", "y_train", "x_test", "y_test", "group_train", "group_test")
LAYOUT = "x_train and y_train, and perhaps x_test and y_test, group_train and group_test"
SHAPES = "(N, F) features, (N, C, L) signals or (N, C, H, W) images"
COLOURS = (1, 3)
"""Channels that images have: where these stand last, they are in the wrong place."""


def holds_arrays(folder: Path) -> bool:
    """Whether ``folder`` has any of the arrays as a .npy file."""
    return any(os.path.isfile(folder / f"{name}.npy") for name in NAMES)


def load_arrays(path: Path) -> RawSet:
    """Read the file or folder ``path``. Raises InputError, as :func:`set_of` and for what cannot be read."""
    return set_of(path, _read(path))


def set_of(source: Source, found: Mapping[str, Array]) -> RawSet:
    """The set of arrays by name; notes what became of labels that are not 0 to n-1.

    Arrays of uint8 stay as they are, all others become float32. Raises InputError, in one line, for arrays
    that are missing, of wrong or unequal shapes, and values that are no numbers.
    """
    _check_names(source, found)
    classes, labels = coded(source, found)
    groups, numbers = grouped(source, found)
    train = _samples(source, found, "train", labels, numbers)
    if "x_test" not in found:
        return RawSet(classes, train, None, groups)
    test = _samples(source, found, "test", labels, numbers)
    if train.images.shape[1:] != test.images.shape[1:] or train.images.dtype != test.images.dtype:
        kinds = [f"{x.dtype} {'x'.join(map(str, x.shape[1:]))}" for x in (found["x_test"], found["x_train"])]
        raise wrong(source, "x_test", kinds[0], f"{kinds[1]} as x_train has it", "store both alike")
    return RawSet(classes, train, test, groups)


def _read(path: Path) -> dict[str, Array]:
    try:
        if path.is_dir():
            files = {name: path / f"{name}.npy" for name in NAMES}
            return {name: np.load(file) for name, file in files.items() if file.is_file()}
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("no archive")
        with np.load(path) as stored:
            return {name: stored[name] for name in NAMES if name in stored.files}
    except OSError as error:
        raise InputError(
            f"data {path}", got=reason(error), wanted="a file that can be read", do="check the path"
        ) from error
    except Exception as error:  # damaged archives and pickled objects fail in a dozen ways
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"data {path}", got=f"no arrays of numbers ({text})", wanted=f"an .npz file with {LAYOUT}",
            do="write it by numpy.savez, all samples of one shape",
        ) from error  # fmt: skip


def _check_names(source: Source, found: Mapping[str, Array]) -> None:
    needed: tuple[str, ...] = NAMES[:4] if {"x_test", "y_test", "group_test"} & found.keys() else NAMES[:2]
    if ("group_train" in found) != ("group_test" in found) and "x_test" in found:
        needed = NAMES
    for name in needed:
        if name not in found:
            do = f"add it beside {first_few(list(found))}" if found else "name its arrays so"
            raise InputError(f"data {source}", got=f"no array {name}", wanted=LAYOUT, do=do)


def _samples(
    source: Source, found: Mapping[str, Array], part: str, labels: Mapping[str, Array],
    groups: Mapping[str, Array],
) -> Samples:  # fmt: skip
    name, x = f"x_{part}", found[f"x_{part}"]
    if x.ndim - 1 not in RANKS or 0 in x.shape or x.dtype.kind not in "buif":
        raise wrong(source, name, f"{x.dtype} {x.shape}", f"numbers {SHAPES}", "store a row for each sample")
    if x.ndim == 4 and x.shape[-1] in COLOURS and x.shape[1] not in COLOURS:
        do = "move them: numpy.moveaxis(x, -1, 1)"
        raise wrong(source, name, f"channels last, {x.shape}", "(N, C, H, W)", do)
    for other in (f"y_{part}", f"group_{part}"):
        if other in found and len(found[other]) != len(x):
            got = f"{len(found[other]):,} for {len(x):,} samples of {name}"
            raise wrong(source, other, got, "one for each sample", "store both in the same order and number")
    values = torch.from_numpy(np.ascontiguousarray(x if x.dtype == np.uint8 else _numbers(source, name, x)))
    number = torch.from_numpy(groups[part]) if part in groups else None
    return Samples(values, torch.from_numpy(labels[part]), number)


def _numbers(source: Source, name: str, x: Array) -> npt.NDArray[np.float32]:
    """float32, where every value is finite."""
    with np.errstate(over="ignore"):
        values: npt.NDArray[np.float32] = x.astype(np.float32)
    if not np.isfinite(values).all():
        sample, channel, *place = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        where = f"sample {sample}, " + (f"channel {channel} at {place}" if place else f"feature {channel}")
        got = f"{x[(sample, channel, *place)]} in {where}"
        raise wrong(source, name, got, "finite numbers of 32 bits", "leave out or fill what was not measured")
    wider = x.dtype.itemsize >= values.dtype.itemsize and x.dtype != values.dtype
    if wider and name == NAMES[0]:  # the ranges are those of training
        _check_resolution(source, name, x, values)
    return values


def _check_resolution(source: Source, name: str, x: Array, values: npt.NDArray[np.float32]) -> None:
    """Refuse channels that are rounded to 32 bits by more than half a level, as times in seconds are."""
    axes = (0, *range(2, x.ndim))
    low, high = (end(axis=axes).astype(np.float64) for end in (x.min, x.max))
    lost = np.abs(x - values.astype(np.float64)).max(axis=axes) > (high - low) / (2 * LEVELS)
    if lost.any():
        channel = int(lost.argmax())
        got = f"{'channel' if x.ndim > 2 else 'feature'} {channel} from {low[channel]} to {high[channel]}"
        wanted = f"{LEVELS} levels that floats of 32 bits tell apart"
        raise wrong(source, name, got, wanted, "subtract the lowest value")
