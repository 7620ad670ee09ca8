"""Which tensor of a file is which of a network: by name, however it is spelt, or by order and shape."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from devices.errors import InputError

WRAPPERS = ("module", "_orig_mod", "units", "model", "net")
"""What programs put before the names of a network's own tensors."""


GRAPH = "body"
"""Between a unit of one's own network and its layers, where they are no row."""

READY = ".ready"
"""Of frozen norms: whether they have their constants. All else without a dimension counts batches."""


@dataclass(frozen=True, eq=False)
class Match:
    """By the names of the network: the tensors that it takes, and those that stay as they began."""

    found: Mapping[str, Tensor]
    left: tuple[str, ...]  # that the source has none for
    classifier: str  # what the source has for a classifier of another shape; empty if that is taken, too
    unused: tuple[str, ...]  # of the source
    by_order: bool = False


def as_named(source: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """``source`` by the ``names`` that the network has for its tensors, in their order; others stand behind.

    Where no weights are known by name all stays as it is: then order tells which they are.
    """
    found = _by_name(source, names)
    if not any(source[theirs].ndim > 1 for theirs in found.values()):
        return dict(source)
    taken = {*found.values()}
    others = {name: tensor for name, tensor in source.items() if name not in taken}
    return {ours: source[theirs] for ours, theirs in found.items()} | others


def matched(
    subject: str, source: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, told_in_order: bool = True
) -> Match:
    """The tensors of ``source`` for those ``wanted``, in the order of the network's layers.

    Where no name is known they are taken by their order, if ``source`` has that. Raises InputError for a
    layer whose weights are missing, or have another shape: but the classifier's, the last weights, whose
    classes may be others.
    """
    wanted = {name: tensor for name, tensor in wanted.items() if tensor.ndim or name.endswith(READY)}
    weights = [name for name, tensor in wanted.items() if tensor.ndim > 1]
    names = _by_name(source, wanted)
    by_order = not any(name in names for name in weights)
    if by_order:
        names = _by_order(source, wanted, weights) if told_in_order else {}
    classifier = weights[-1].rpartition(".")[0]
    found, left, other = {}, [], ""
    for name, tensor in wanted.items():
        given = _as_wanted(source[names[name]], tensor) if name in names else None
        if given is not None and given.shape == tensor.shape:
            found[name] = given
        elif given is not None and name.startswith(f"{classifier}."):
            other = other or f"{_size(given)} where {_size(tensor)} is wanted"
        elif given is not None or name in weights:
            raise _other(subject, name, given, tensor)
        else:
            left.append(name)
    if other:  # of its parts none is of use without the others
        found = {name: tensor for name, tensor in found.items() if not name.startswith(f"{classifier}.")}
    taken = {names[name] for name in wanted if name in names}
    unused = tuple(name for name, tensor in source.items() if tensor.ndim and name not in taken)
    return Match(found, tuple(left), other, unused, by_order)


def renamed(
    source: Mapping[str, Tensor], paths: Mapping[str, str], wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """``source`` with the layers of a module of one's own by their names in the chain made of it.

    ``paths`` has those of the module by those of the chain, and of parameters that stand in no layer there.
    A file that has all the chain's own stays as it is: one of them may well be named as in the module.
    """
    if all(name in source for name, tensor in wanted.items() if tensor.ndim > 1):
        return dict(source)
    exact = {path: name for name, path in paths.items()}
    bare = dict(zip(source, _bare([*source], exact), strict=True))
    layers = layers_of(bare.values())
    known = {layer: exact[layer] for layer in layers if layer in exact}
    theirs = _one_each(layer for layer in layers if layer not in known)
    left = {path: name for path, name in exact.items() if path not in known}
    ours = {_plain(path): left[path] for path in _one_each(left).values()}
    known |= {layer: ours[plain] for plain, layer in theirs.items() if plain in ours}
    found = {}
    for name, tensor in source.items():
        layer, dot, part = bare[name].rpartition(".")
        inside = f"{known[layer]}{dot}{part}" if layer in known else name
        found[exact.get(bare[name], inside)] = tensor
    return found


def _bare(names: Sequence[str], exact: Mapping[str, str]) -> Sequence[str]:
    """``names`` without what a program has put before all of them."""
    while True:
        first = {name.partition(".")[0] for name in names}
        if len(first) != 1 or not first <= {*WRAPPERS} or any(layer in exact for layer in layers_of(names)):
            return names
        names = [name.partition(".")[2] for name in names]


def _one_each(names: Iterable[str]) -> dict[str, str]:
    """Names by their plain spelling, which is that of no other among them."""
    names = list(names)
    counts = Counter(map(_plain, names))
    return {_plain(name): name for name in names if counts[_plain(name)] == 1}


def _as_wanted(given: Tensor, wanted: Tensor) -> Tensor:
    """The same values where shapes differ by sides of one, as of a linear layer and a 1x1 convolution.

    So they are of values beside a map, as learnt positions, which lie flat in a network.
    """
    sides = [[n for n in tensor.shape if n != 1] for tensor in (given, wanted)]
    flat = wanted.ndim == 1 and given.numel() == wanted.numel()
    return given.reshape(wanted.shape) if flat or sides[0] == sides[1] else given


def _by_name(source: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, str]:
    """Name in the network -> name in the source: the same, or the longest that it ends with.

    A chain puts the name of the unit before that of the layer.
    """
    spelt = _one_each(source)
    found = {}
    for name in wanted:
        if name in source:
            found[name] = name
            continue
        parts = _plain(name).split("_")
        endings = ("_".join(parts[i:]) for i in range(len(parts)))
        ending = next((ending for ending in endings if ending in spelt), None)
        if ending is not None:
            found[name] = spelt[ending]
    return found if len(set(found.values())) == len(found) else {}


def _plain(name: str) -> str:
    """Without wrappers; a traced network spells "features.0.0" as "features_0.0"."""
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in WRAPPERS:
        del parts[0]
    return "_".join(part for part in parts if part != GRAPH).replace(".", "_")


def _by_order(
    source: Mapping[str, Tensor], wanted: Mapping[str, Tensor], weights: list[str]
) -> dict[str, str]:
    """All tensors in order, where their shapes are those wanted but for the classifier's."""
    given = [name for name, tensor in source.items() if tensor.ndim]
    inner = [name for name in wanted if not name.startswith(weights[-1].rpartition(".")[0])]
    if len(given) != len(wanted):
        return {}
    same = all(source[theirs].shape == wanted[ours].shape for ours, theirs in zip(inner, given, strict=False))
    return dict(zip(wanted, given, strict=True)) if same and inner else {}


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _other(subject: str, name: str, given: Tensor | None, wanted: Tensor) -> InputError:
    got = f"no weights for {name}" if given is None else f"{_size(given)} for {name}"
    return InputError(
        subject, got=got, wanted=_size(wanted), do="name the --model and --width that they are of"
    )


def layers_of(names: Iterable[str]) -> tuple[str, ...]:
    """The layers whose tensors are named, each once; what stands in none has its own name."""
    return tuple(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
