"""A set of sounds in folders: PATH/train/<class>/*.wav and PATH/test/<class>/*.wav."""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from blockwise.data import cache
from blockwise.data.dataset import RawSet
from blockwise.data.folder import labels_of, numbered
from blockwise.data.listing import Kind, Listing, list_folder
from blockwise.data.log_mel import STEP_MS, WINDOW_MS, LogMel, Sound
from blockwise.data.marks import tell_shared
from blockwise.data.progress import ProgressCallback, reporting
from blockwise.data.samples import Samples
from blockwise.system.notes import note
from blockwise.system.processes import cores
from blockwise.system.sizes import check_room
from blockwise.system.streams import as_text
from devices.errors import InputError

SUFFIX = ".wav"
RECORDINGS = Kind("recording", lambda: frozenset({SUFFIX}), f"ends in {SUFFIX}")
SPEAKER = "_nohash_"
"""In a file's name behind that of the speaker: the convention of Speech Commands (arXiv 1804.03209)."""
PACKAGES = ("librosa", "soundfile", "soxr")
CHUNK = 256
"""Recordings at a time."""


@dataclass(frozen=True)
class Sounds:
    """What every recording is brought to: the rate and length that most training recordings have."""

    rate: int  # values a second
    length: int  # values


@dataclass(frozen=True)
class Heading:
    """What a file says of itself."""

    rate: int
    frames: int
    channels: int


def holds_recordings(folder: Path) -> bool:
    """Whether there is a .wav file in a class's folder, or in a folder within it."""
    train, deep = folder / "train", ("*", "*/*", "*/**")
    return any(next(train.glob(f"{within}/*.[wW][aA][vV]"), None) is not None for within in deep)


def load_recordings(
    path: Path, *, bands: int | None, cache_dir: Path | None = None, progress: ProgressCallback | None = None
) -> RawSet:
    """Log-mel spectra float32 (N, 1, windows, bands), or for None waves (N, 1, L), of all recordings.

    From the cache if the folder has not changed. Recordings of a speaker, as Speech Commands names them, or
    of a folder within their class's, are a group. Raises InputError without the packages, and for a folder,
    class or file that cannot be used; notes what was resampled, mixed, filled or cut.
    """
    _check_packages(path)
    listing = list_folder(path, RECORDINGS)
    cache_dir = cache_dir or cache.default_cache_dir()
    stored, fingerprint = None, f"{listing.fingerprint()}:{version('librosa')}:{bands}"
    if cache_dir is not None:
        stored = cache.read(cache.cache_file(cache_dir, path, bands), fingerprint)
    if stored is None:
        stored = _heard(listing, bands, progress)
        # Files that change while they are read must not be taken for what was read.
        if cache_dir is not None and list_folder(path, RECORDINGS).fingerprint() == listing.fingerprint():
            cache.write(cache.cache_file(cache_dir, path, bands), fingerprint, stored)
    for text in stored["notes"]:
        note(f"data {path}: {text}")
    count, values = len(listing.train), torch.from_numpy(stored["values"])
    _check_finite(listing, values)
    groups_of = listing.groups(_speaker)
    tell_shared(path, sorted({*groups_of[:count]} & {*groups_of[count:]}))
    names, numbers = numbered(groups_of)
    groups = (None, None) if numbers is None else (numbers[:count], numbers[count:])
    train = Samples(values[:count], labels_of(listing.train), groups[0])
    test = Samples(values[count:], labels_of(listing.test), groups[1]) if listing.test else None
    return RawSet(tuple(map(as_text, listing.classes)), train, test, names)


def _check_finite(listing: Listing, values: Tensor) -> None:
    """Refuse sounds whose energy is no number of 32 bits. Raises InputError."""
    wrong = (~values.isfinite()).flatten(1).any(dim=1).nonzero().flatten().tolist()
    if wrong:
        path = (listing.train + listing.test)[wrong[0]].path
        raise InputError(
            f"recording {path}", got="values too large or none", wanted="numbers whose squares 32 bits hold",
            do="scale it to -1 to 1, or remove it",
        )  # fmt: skip


def _check_packages(path: Path) -> None:
    for package in PACKAGES:
        try:
            version(package)
        except PackageNotFoundError as error:
            raise InputError(
                f"data {path}", got=f"no package {package}", wanted="what reads and transforms sound",
                do="pip install '.[audio]'",
            ) from error  # fmt: skip


def _speaker(file: str) -> str:
    return file.partition(SPEAKER)[0] if SPEAKER in file else ""


def _heard(
    listing: Listing, bands: int | None, progress: ProgressCallback | None
) -> dict[str, npt.NDArray[Any]]:
    paths = [file.path for file in listing.train + listing.test]
    with ThreadPoolExecutor(cores()) as pool, reporting(progress, f"reading {listing.root.name}") as report:
        headings = list(pool.map(_heading, paths))
        sounds = _common(headings[: len(listing.train)])
        _check_length(listing.root, sounds, bands)
        check_room(
            "recordings", f"{len(paths):,} of {sounds.length:,} values", 4 * len(paths) * sounds.length
        )
        parts = []
        for first in range(0, len(paths), CHUNK):
            chunk = list(pool.map(lambda path: _sound(path, sounds), paths[first : first + CHUNK]))
            wave = np.stack(chunk)
            parts.append(wave[:, None] if bands is None else LogMel(sounds.rate, bands)(wave).numpy())
            report(min(first + CHUNK, len(paths)), len(paths))
    notes = [*_notes(headings, sounds), _shape(sounds, bands)]
    return {"values": np.concatenate(parts), "notes": np.array(notes, dtype=np.str_)}


def _common(headings: Sequence[Heading]) -> Sounds:
    """The most frequent rate, and at it the most frequent length; of equally frequent ones the larger."""
    rate = _most(heading.rate for heading in headings)
    return Sounds(rate, _most(_at(heading, rate) for heading in headings))


def _at(heading: Heading, rate: int) -> int:
    return round(heading.frames * rate / heading.rate)


def _most(numbers: Iterable[int]) -> int:
    return max(Counter(numbers).items(), key=lambda item: (item[1], item[0]))[0]


def _check_length(root: Path, sounds: Sounds, bands: int | None) -> None:
    if bands is None:
        return
    if LogMel(sounds.rate, bands).step < 1:
        raise InputError(
            f"data {root}", got=f"recordings of {sounds.rate} values a second",
            wanted=f"at least one value in {STEP_MS} ms", do="use --features waveform",
        )  # fmt: skip
    if sounds.length < LogMel(sounds.rate, bands).window:
        raise InputError(
            f"data {root}", got=f"recordings of {1000 * sounds.length / sounds.rate:g} ms",
            wanted=f"at least one window of {WINDOW_MS} ms", do="use --features waveform",
        )  # fmt: skip


def _notes(headings: Sequence[Heading], sounds: Sounds) -> list[str]:
    lengths = [_at(heading, sounds.rate) for heading in headings]
    seconds = f"{sounds.length / sounds.rate:g} s"
    counts = {
        f"of another rate are resampled to {sounds.rate:,} Hz": sum(h.rate != sounds.rate for h in headings),
        "of several channels are mixed to one": sum(h.channels > 1 for h in headings),
        f"are shorter than {seconds} and end in silence": sum(n < sounds.length for n in lengths),
        f"are longer than {seconds} and lose their end": sum(n > sounds.length for n in lengths),
    }
    return [f"{n:,} of {len(headings):,} recordings {what}" for what, n in counts.items() if n]


def _shape(sounds: Sounds, bands: int | None) -> str:
    seconds, rate = f"{sounds.length / sounds.rate:g} s", f"{sounds.rate:,} Hz"
    if bands is None:
        return f"waves of {seconds} at {rate}"
    windows = f"windows of {WINDOW_MS} ms every {STEP_MS} ms"
    return f"log-mel spectra of {bands} bands, {windows} of {seconds} at {rate}"


def _heading(path: str) -> Heading:
    import soundfile  # slow to import, and no other set needs it

    try:
        found = soundfile.info(path)
    except (RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    if not found.frames:
        raise InputError(
            f"recording {path}", got="no sound", wanted="at least one value", do="remove the file"
        )
    return Heading(found.samplerate, found.frames, found.channels)


def _sound(path: str, sounds: Sounds) -> Sound:
    """float32 (L,) of one file, -1 to 1."""
    import soundfile
    import soxr

    try:
        values, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    wave = values.mean(1)
    if not np.isfinite(wave).all():
        raise InputError(
            f"recording {path}", got="values that are no numbers", wanted="sound", do="remove the file"
        )
    if rate != sounds.rate:
        wave = soxr.resample(wave, rate, sounds.rate)
    out = np.zeros(sounds.length, np.float32)
    out[: len(wave)] = wave[: sounds.length]
    return out


def _unreadable(path: str, error: Exception) -> InputError:
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(
        f"recording {path}", got=f"a damaged or unreadable file ({text})",
        wanted="sound that soundfile reads", do="replace or remove the file",
    )  # fmt: skip
