"""A set of the user's own: a folder of images or recordings, or arrays in one file or several."""

import os
from pathlib import Path

import torch
from torch import Tensor

from blockwise.data.arrays import SUFFIX as ARRAYS
from blockwise.data.arrays import holds_arrays, load_arrays
from blockwise.data.dataset import RawSet
from blockwise.data.folder import load_folder
from blockwise.data.log_mel import BANDS
from blockwise.data.progress import ProgressCallback
from blockwise.data.recordings import holds_recordings, load_recordings
from blockwise.data.resizing import resized
from blockwise.system.sizes import check_size
from blockwise.system.streams import as_text
from devices.errors import InputError, unknown_name

LOG_MEL, WAVEFORM = "log-mel", "waveform"
FEATURES = (LOG_MEL, WAVEFORM)
"""What a recording may give; the first by default, and with ``:BANDS`` behind it of so many bands."""
MOST_BANDS = 128


def read_own(
    path: Path, image_size: int | None, features: str | None, cache_dir: Path | None,
    progress: ProgressCallback | None,
) -> tuple[str, RawSet]:  # fmt: skip
    """The name of the set at ``path``, and the set. Raises InputError for what cannot be used."""
    name = as_text(path.resolve().name)
    if os.path.isdir(path) and not holds_arrays(path) and holds_recordings(path):
        bands = bands_of(features or LOG_MEL)
        raw = load_recordings(path, bands=bands, cache_dir=cache_dir, progress=progress)
        _check_differences(f"recording folder {path / 'train'}", "values", raw.train.images)
        return name, resized(raw, image_size)
    if features is not None:
        raise no_recordings(str(path))
    if path.suffix.lower() == ARRAYS or holds_arrays(path):
        name = name[: -len(ARRAYS)] if path.suffix.lower() == ARRAYS else name
        raw, subject, what = resized(load_arrays(path), image_size), f"data {path}: x_train", "values"
    else:
        raw = load_folder(path, image_size=image_size, cache_dir=cache_dir, progress=progress)
        subject, what = f"image folder {path / 'train'}", "pixels"
    _check_differences(subject, what, raw.train.images)
    return name, raw


def bands_of(features: str) -> int | None:
    """Bands of log-mel spectra; None for waves. Raises InputError for features that there are none of."""
    name, colon, bands = features.partition(":")
    if name not in FEATURES:
        raise unknown_name("--features", name, FEATURES)
    if name == WAVEFORM and not colon:
        return None
    if colon and (name == WAVEFORM or not bands.isdecimal()):
        raise InputError("--features", got=repr(features), wanted="log-mel:BANDS", do="try log-mel:10")
    count = int(bands) if colon else BANDS
    check_size("--features", count, most=MOST_BANDS)
    return count


def no_recordings(data: str) -> InputError:
    """The error for features of what are no recordings."""
    return InputError(
        "--features", got=f"data {data}", wanted="a folder train/CLASS/ of .wav files", do="leave it out"
    )


def _check_differences(subject: str, what: str, samples: Tensor) -> None:
    """Refuse samples that are all alike."""
    if all(torch.equal(sample, samples[0]) for sample in samples):
        name = "images" if what == "pixels" else "samples"
        flat = samples.min() == samples.max()
        alike = f"{what} that all have one value" if flat else f"{name} that are all alike"
        raise InputError(
            subject, got=alike, wanted=f"{name} that differ, to learn from", do="see how the files were made"
        )
