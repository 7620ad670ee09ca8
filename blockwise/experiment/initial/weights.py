"""Trained weights in float by the names of a chain's layers, whatever they came from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from blockwise.system.files import atomic_write
from devices.errors import InputError

KEPT = "initial.safetensors"
"""In the folder of a run that starts from them."""
HEADS = "heads."
"""Before the names of tensors of local heads in a digest."""
PREFIX, KEPT_HEADS = "heads", "local heads/"
"""The same in a file, which tells it: no layer of a network is called so."""
FACTS = ("source", "regime", "quantizers", "blocks")
EPS = "eps"
ORDER = "order"
"""The names of tensors as they stand in the network, where that is known: the file has its own order."""


@dataclass(frozen=True, eq=False)
class Weights:
    """What to start from. ``tensors`` are float: weights, biases, norms, and quantizers' own values.

    ``heads`` are those of local heads by the number of their block. ``quantizers`` names the quantization
    to which the values of quantizers belong and ``blocks`` head and cut to which local heads do; both are
    empty where that is not known.
    """

    source: str  # as the user named it
    regime: str  # that ended with them; empty: a file's
    tensors: Mapping[str, Tensor]
    heads: Mapping[str, Tensor] = field(default_factory=dict)
    quantizers: str = ""
    blocks: str = ""
    eps: Mapping[str, float] = field(default_factory=dict)  # that norms add to variances, where it is known
    in_order: bool = True  # whether tensors stand as in the network; safetensors files list names otherwise

    @property
    def digest(self) -> str:
        """SHA-256 of all names, shapes and values, the first 16 hex digits."""
        found = hashlib.sha256()
        for name, tensor in sorted(self._all().items()):
            value = tensor.detach().cpu().contiguous()
            found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            found.update(value.numpy().tobytes())
        return found.hexdigest()[:16]

    def keep(self, path: Path) -> None:
        """Write them to ``path``, so that what goes on from there needs their source no more."""
        facts = {name: json.dumps(getattr(self, name)) for name in FACTS}
        facts[EPS] = json.dumps(dict(self.eps))
        facts |= {ORDER: json.dumps([*self.tensors] if self.in_order else None), PREFIX: KEPT_HEADS}
        heads = {f"{KEPT_HEADS}{name}": tensor for name, tensor in self.heads.items()}
        every = {**self.tensors, **heads}
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in every.items()}
        atomic_write(path, save(tensors, metadata=facts))

    def _all(self) -> dict[str, Tensor]:
        return {**self.tensors, **{f"{HEADS}{name}": tensor for name, tensor in self.heads.items()}}


def kept(path: Path) -> Weights | None:
    """Those that were kept at ``path``, None if none were. Raises InputError if they cannot be read."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            facts = {name: json.loads(file.metadata()[name]) for name in FACTS}
            eps = json.loads(file.metadata().get(EPS, "{}"))
            order = json.loads(file.metadata().get(ORDER, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            prefix = file.metadata().get(PREFIX, HEADS)  # earlier versions named them as a network may
        heads = {name for name in tensors if name.startswith(prefix) and name not in (order or ())}
        names = [name for name in tensors if name not in heads] if order is None else order
        floats = {name: tensors[name] for name in names}
    except Exception as error:
        raise InputError(
            f"{path}", got=f"an unreadable file ({type(error).__name__})",
            wanted="the weights that the run started from", do="start over with --out",
        ) from error  # fmt: skip
    own = {name.removeprefix(prefix): tensors[name] for name in heads}
    return Weights(tensors=floats, heads=own, eps=eps, in_order=order is not None, **facts)
