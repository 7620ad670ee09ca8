"""Training only a part of a network: what is asked for, and the network in which each layer says it.

``all``            every layer
``last:N``         the last N blocks
``blocks:A..B``    blocks A to B, counted from 1; ``blocks:A`` is one
``head``           the classifier: the last layer with weights
``bias``           biases, and scales and shifts of norms, of every layer
``sparse:FILE``    shares of channels of some layers, and biases (:mod:`devices.network.sparse`)
``sparse:auto``    as many of them as the board has room for (:func:`devices.network.sparse.greedy`)
``NAME,NAME ...``  layers by name, ``*`` and ``?`` for any letters; a unit's name stands for its layers

What is not trained is as it is deployed: packed, norms by their running statistics as one scale and one
shift, levels constant, dropout idle.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from devices.errors import InputError
from devices.network import sparse
from devices.network.layers import Block, Layer, Network
from devices.network.ops import BatchNorm, FrozenNorm, ShiftedNorm
from devices.network.trained import BIASES, FROZEN, WHOLE, Trained

ALL = "all"
FLAG = "--train"
FORMS = (
    "all, last:N, blocks:A..B, head, bias, sparse:FILE, sparse:auto or names of layers, such as "
    "stage3*,classifier*"
)

AUTO = "sparse:auto"
Fits = Callable[[Network], bool]
Chosen = dict[str, Trained]
"""Layer -> what of it is trained; a layer that is missing is frozen."""


@dataclass(frozen=True)
class Choice:
    """A part of any network, as it is asked for."""

    spec: str
    find: Callable[[Network], Chosen]
    by_shares: bool = False  # norms of which anything is trained are shifts
    auto: bool = False  # what is trained follows from what fits
    said: str = ""  # by a file, which may say something else another time

    @property
    def whole(self) -> bool:
        """Whether it is all of the network."""
        return self.spec == ALL

    def of(self, network: Network, fits: Fits | None = None) -> Network:
        """The network of which only this part is trained. Raises InputError where it is none of it.

        ``fits`` says of a network whether its step has room on the board, for a part that is chosen by that.
        """
        if self.whole:
            return network
        if self.auto:
            return self._largest(network, fits)
        chosen = self.find(network)
        *early, last = (_restricted(block, chosen, self.by_shares) for block in network.blocks)
        early = [block if block.learns else replace(block, head=()) for block in early]
        return replace(network, blocks=(*early, last))

    def _largest(self, network: Network, fits: Fits | None) -> Network:
        if fits is None:
            raise _refused(self.spec, "a board on which it is chosen", "plan it for one")

        def made(found: sparse.Sparse) -> Network:
            return Choice(self.spec, found.find, by_shares=True).of(network)

        return made(sparse.greedy(lambda found: fits(made(found)), network))


def choice(spec: str) -> Choice:
    """What ``spec`` asks for. Raises InputError for what can be a part of no network."""
    kind, colon, rest = spec.partition(":")
    if spec == ALL:
        return Choice(spec, _everything)
    if spec in ("head", "bias"):
        return Choice(spec, _classifier if spec == "head" else _biases)
    if colon and kind == "last":
        count = _number(spec, rest)
        return Choice(spec, lambda network: _blocks(network, spec, len(network.blocks) - count + 1, None))
    if colon and kind == "blocks":
        found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", rest)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= first <= last:
            raise _refused(spec, "blocks:A..B with A from 1 and B not below A", "count blocks from 1")
        return Choice(spec, lambda network: _blocks(network, spec, first, last))
    if spec == AUTO:
        return Choice(spec, _everything, by_shares=True, auto=True)
    if colon and kind == "sparse" and rest:
        said = sparse.read(rest)
        return Choice(spec, said.find, by_shares=True, said=repr(said))
    if colon or not spec or not all(spec.split(",")):
        raise _refused(spec, FORMS, "choose one of these")
    return Choice(spec, lambda network: _named(network, spec.split(",")))


def _refused(got: str, wanted: str, do: str) -> InputError:
    return InputError(FLAG, got=repr(got), wanted=wanted, do=do)


def _number(spec: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise _refused(spec, "last:N with N from 1", "train at least one block, or a part of it by name")
    return int(text)


def _everything(network: Network) -> Chosen:
    return {layer.name: WHOLE for layer in network.layers}


def _classifier(network: Network) -> Chosen:
    *_, last = (layer for layer in network.layers if layer.weights)
    return {last.name: WHOLE}


def _biases(network: Network) -> Chosen:
    found = {layer.name: BIASES for layer in network.layers if layer.biases}
    if not found:
        raise _refused("bias", "a network with biases, or norms that learn", "use --bias, or train layers")
    return found


def _blocks(network: Network, spec: str, first: int, last: int | None) -> Chosen:
    count = len(network.blocks)
    if first < 1 or (last or count) > count:
        raise _refused(
            spec, f"blocks of 1 to {count}, as the network is cut", "name fewer, or cut into more by --blocks"
        )
    blocks = network.blocks[first - 1 : last]
    if not any(layer.weights or layer.biases for block in blocks for layer in block.layers):
        raise _refused(spec, "blocks with weights or biases", "name others")
    return {layer.name: WHOLE for block in blocks for layer in block.layers}


def _named(network: Network, patterns: Sequence[str]) -> Chosen:
    found: Chosen = {}
    for pattern in patterns:
        layers = [layer for layer in network.layers if _matches(layer.name, pattern)]
        if not any(layer.weights or layer.biases for layer in layers):
            names = [layer.name for layer in network.layers if layer.weights]
            raise _refused(
                pattern, f"names of layers with weights or biases, as {names[0]} to {names[-1]}",
                f"or choose {FORMS.partition(' or names')[0]}",
            )  # fmt: skip
        found.update((layer.name, WHOLE) for layer in layers)
    return found


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _restricted(block: Block, chosen: Chosen, by_shares: bool) -> Block:
    layers = (_with(layer, chosen.get(layer.name, FROZEN), by_shares) for layer in block.layers)
    return replace(block, layers=tuple(layers))


def _with(layer: Layer, trained: Trained, by_shares: bool) -> Layer:
    """A norm by statistics of the batch that is not trained is its running ones: a scale and a shift."""
    op = layer.op
    if isinstance(op, BatchNorm) and op.tracks and not trained.biases:
        op = FrozenNorm(op.channels)
    elif isinstance(op, BatchNorm) and by_shares:
        op = ShiftedNorm(op.channels)
    return replace(layer, op=op, trained=trained)
