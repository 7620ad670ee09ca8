"""The state of a run after an epoch: written atomically, refused if it is of another run."""

import io
from pathlib import Path
from typing import Any

import torch

from blockwise.system.files import atomic_write
from devices.errors import InputError

VERSION = 5
"""Raised when a training would go on otherwise than it began. 5: the optimizer's
state is in the order of parameters that are treated alike; 4: the random state of an accelerator is
kept; 3: rates do not end at 0, and the circumstances are told; 2: every integer weight tensor has a random
stream of its own.
"""


def save(path: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Replace the checkpoint at ``path`` in one step; a kill leaves the old one or the new one."""
    buffer = io.BytesIO()
    torch.save({"version": VERSION, "fingerprint": fingerprint, **state}, buffer)
    atomic_write(path, buffer.getvalue())


def load(path: Path, fingerprint: str | None) -> dict[str, Any] | None:
    """The checkpoint at ``path``, or None if there is none.

    Raises InputError if it cannot be read or, unless ``fingerprint`` is None, belongs to another
    configuration or to a version that trains otherwise.
    """
    if not path.exists():
        return None
    start_over = "use another --out, or delete the file to start over"
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        got = f"an unreadable file ({type(error).__name__})"
        raise InputError(f"checkpoint {path}", got=got, wanted="a checkpoint", do=start_over) from error
    if not isinstance(state, dict):
        kind = type(state).__name__
        raise InputError(f"checkpoint {path}", got=f"a {kind}", wanted="a checkpoint", do=start_over)
    if fingerprint is None:
        return state
    other = "configuration" if state.get("version") == VERSION else "version of Blockwise"
    if state.get("version") != VERSION or state.get("fingerprint") != fingerprint:
        raise InputError(
            f"checkpoint {path}", got=f"the state of another {other}", wanted="one of this run", do=start_over
        )
    return state
