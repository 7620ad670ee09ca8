"""Where trained weights come from: a run, an exported or other safetensors file, a state dict."""

from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from blockwise.deployed.file import read as file_of
from blockwise.experiment import exported
from blockwise.experiment.initial.run import of_run
from blockwise.experiment.initial.weights import Weights
from blockwise.experiment.settings.network import WANTED
from blockwise.system.files import reason
from devices.errors import InputError

SAFETENSORS = ".safetensors"
Found = tuple[dict[str, Tensor], dict[str, float]]
"""Tensors by name, and what batch norms add to variances where the file tells."""
NESTED = ("state_dict", "model_state_dict", "model", "net")
"""Under which a checkpoint keeps the tensors of its network."""


def read(given: str) -> Weights:
    """The weights at ``given``: the folder of a run, a .safetensors file, or a state dict (.pt, .pth).

    Raises InputError for what is not there, cannot be read, or holds no trained network.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        return of_run(path, given)
    if not path.exists():
        raise InputError(f"--init {given}", got="no such file or folder", wanted=WANTED, do="check the path")
    if path.suffix not in READERS:
        raise InputError(f"--init {given}", got=f"a file {path.suffix or 'without a suffix'}", wanted=WANTED,
                         do="save model.state_dict() by torch.save as FILE.pt")  # fmt: skip
    found, eps = READERS[path.suffix](path, f"--init {given}")
    floats = {name: t.float() for name, t in found.items() if t.ndim == 0 or t.is_floating_point()}
    if not any(t.ndim > 1 for t in floats.values()):
        raise InputError(f"--init {given}", got="no weights", wanted=WANTED, do="check the file")
    return Weights(given, "", floats, eps=eps, in_order=path.suffix != SAFETENSORS)


def _safetensors(path: Path, subject: str) -> Found:
    """Of an export the weights that its codes mean, and what its norms are."""
    try:
        with safe_open(path, "pt") as file:
            if not (file.metadata() or {}).get("format", "").startswith(exported.FAMILY):
                return {name: file.get_tensor(name) for name in file.keys()}, {}  # noqa: SIM118
    except Exception as error:  # of the library, and of the system
        raise _unreadable(subject, error, "a safetensors file") from error
    whole = file_of(path)
    return whole.weights(), whole.epsilons


def _state_dict(path: Path, subject: str) -> Found:
    """Tensors by name; nothing else is unpickled."""
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # PyTorch's advice is to trust it
        raise InputError(
            subject, got="a pickled module, or another object that is none of tensors", wanted=STATE_DICT,
            do=SAVE,
        ) from error  # fmt: skip
    except Exception as error:  # pickles fail in a dozen ways
        raise _unreadable(subject, error, STATE_DICT, SAVE) from error
    for key in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    tensors = found if isinstance(found, Mapping) else {}
    return {name: t for name, t in tensors.items() if isinstance(name, str) and isinstance(t, Tensor)}, {}


STATE_DICT, SAVE = "a state dict: tensors by name, and no code", "save model.state_dict() by torch.save"
"""What is wanted of a file of PyTorch's, and how it is made."""

READERS: dict[str, Callable[[Path, str], Found]] = {
    SAFETENSORS: _safetensors, ".pt": _state_dict, ".pth": _state_dict,
}  # fmt: skip


def _unreadable(subject: str, error: Exception, wanted: str, do: str = "check the file") -> InputError:
    text = " ".join((reason(error) if isinstance(error, OSError) else str(error)).split())[:100]
    return InputError(subject, got=f"{type(error).__name__}: {text}", wanted=wanted, do=do)
