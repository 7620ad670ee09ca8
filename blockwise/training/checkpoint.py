"""The state of a run after an epoch: written atomically, refused if it is of another run."""

import io
from pathlib import Path
from typing import Any

import torch

from blockwise.files import atomic_write
from devices.errors import InputError

VERSION = 2


def save(path: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Replace the checkpoint at ``path`` in one step; a kill leaves the old one or the new one."""
    buffer = io.BytesIO()
    torch.save({"version": VERSION, "fingerprint": fingerprint, **state}, buffer)
    atomic_write(path, buffer.getvalue())


def load(path: Path, fingerprint: str | None) -> dict[str, Any] | None:
    """The checkpoint at ``path``, or None if there is none.

    Raises InputError if it cannot be read or, unless ``fingerprint`` is None, belongs to another
    configuration.
    """
    if not path.exists():
        return None
    start_over = "use another --out, or delete the file to start over"
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        got = f"an unreadable file ({type(error).__name__})"
        raise InputError(f"checkpoint {path}", got=got, wanted="a checkpoint", do=start_over) from error
    expected = state.get("fingerprint") if fingerprint is None else fingerprint
    if state.get("version") != VERSION or state.get("fingerprint") != expected:
        raise InputError(
            f"checkpoint {path}", got="the state of another configuration",
            wanted="one of this run", do=start_over,
        )  # fmt: skip
    return state
