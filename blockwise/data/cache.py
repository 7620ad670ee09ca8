"""Decoded folders kept on disk: one checked, uncompressed .npz file per folder and image size.

The zip format carries a CRC-32 of every array, so reading notices damage; a fingerprint inside
notices that the folder has changed.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

from blockwise.system.files import reason
from blockwise.system.notes import note

LAYOUT_VERSION = 2
"""Raise it whenever the decoded pixels or their layout change: older files are made anew."""
ABANDONED_AFTER_S = 3600.0
"""Age of a temporary file, in seconds, at which its writer was killed: writing takes about 1."""


def default_cache_dir() -> Path | None:
    """The user's cache folder (XDG base directory specification); None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # "If an implementation encounters a relative path [...] ignore it."
        return Path(base) / "blockwise"
    try:
        return Path.home() / ".cache" / "blockwise"
    except RuntimeError:  # neither HOME nor an entry of the user's in the password database
        return None


def cache_file(cache_dir: Path, folder: Path, image_size: int | None) -> Path:
    """Where the decoded images of ``folder`` (any spelling of its path) are kept."""
    key = f"{folder.resolve()}\n{image_size}"
    digest = hashlib.blake2b(os.fsencode(key), digest_size=8).hexdigest()
    return cache_dir / "folders" / f"{digest}.npz"


def read(path: Path, fingerprint: str) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays stored under ``fingerprint``, or None: absent, damaged or out of date."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["fingerprint"]) != _versioned(fingerprint):
                return None
            return {name: stored[name] for name in stored.files if name != "fingerprint"}
    except Exception:  # damaged bytes fail in a dozen ways: make it anew
        return None


def write(path: Path, fingerprint: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Store the arrays whole or not at all; a cache that cannot be written is only a warning."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        _replace(path, _versioned(fingerprint), arrays)
    except OSError as error:
        note(f"cache {path}: not written ({reason(error)}); decoding again next time")


def _versioned(fingerprint: str) -> str:
    return f"{LAYOUT_VERSION}:{PIL.__version__}:{fingerprint}"  # another Pillow may decode otherwise


def _replace(path: Path, fingerprint: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            # numpy's stub takes `allow_pickle` for one of the arrays when they come as a mapping.
            np.savez(file, fingerprint=np.array(fingerprint), **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _remove_abandoned(folder: Path) -> None:
    for temporary in folder.glob("*.tmp"):
        if time.time() - temporary.stat().st_mtime > ABANDONED_AFTER_S:
            temporary.unlink(missing_ok=True)
