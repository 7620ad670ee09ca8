"""A network of one's own beside its run: as it was traced, with the weights that it started from.

A module's code may change or go; what goes on with the run, or exports it, takes what was kept.
"""

import io
import re
from pathlib import Path

import torch

from blockwise.models.files import is_file, source
from blockwise.nets.chain import Chain
from blockwise.system.files import atomic_write
from devices.errors import InputError

FILE = "network.pt"


def save(chain: Chain, folder: Path, *, anew: bool = True) -> None:
    """Keep ``chain`` in ``folder``; what a run goes on with is there already, unless it begins ``anew``.

    Raises InputError if it cannot be kept.
    """
    path = folder / FILE
    if path.exists() and not anew:
        return
    buffer = io.BytesIO()
    try:
        torch.save(chain, buffer)
    except Exception as error:  # of a class that nothing can import, as one in a function
        words = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise InputError(
            f"model {chain.name}", got=words, wanted="layers of torch.nn, or classes at the top of a file",
            do="move the class of the layer there",
        ) from error  # fmt: skip
    atomic_write(path, buffer.getvalue())


def load(folder: Path, model: str) -> Chain | None:
    """What :func:`save` kept, None if nothing was. ``model`` is its name, whose code may be imported.

    As with any code, only what one trusts is to be loaded. Raises InputError if it cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    if (
        is_file(model)
        and (code := Path(re.sub(r":\w*$", "", model))).suffix == source.SUFFIX
        and code.exists()
    ):
        source.run(code)  # for layers of the user's own classes
    try:
        found = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # of zip files, pickles and imports
        words = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise InputError(
            f"{path}", got=words, wanted="the network that the run kept", do="start over with --out"
        ) from error
    assert isinstance(found, Chain)
    return found
