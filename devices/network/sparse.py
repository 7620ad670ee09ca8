"""A sparse update: shares of channels of some layers, and biases, as in Lin et al. 2022 (2206.15472).

A file says it, TOML or JSON::

    biases = 8                      # of so many last layers with weights; "all" or 0
    [weights]
    "stage3_1.conv1" = 0.25         # this share of the input channels; of a depthwise layer, of its channels
    "stage3_2.*" = { inputs = 0.5, outputs = 0.5 }

It is the first channels that are trained. Of a bias behind which a batch norm stands the norm's shift is
trained in its place: the norm goes by its running statistics. Levels of quantizers are constant.

What :func:`greedy` chooses goes by bytes alone: the layers that learn most for a task are not looked for, as
Lin et al. do by trainings of each layer.
"""

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from devices.errors import InputError
from devices.network.layers import Layer, Network
from devices.network.ops import BatchNorm, Conv, Linear, Op
from devices.network.trained import BIASES, FROZEN, Trained

ALL = "all"
SIDES = ("inputs", "outputs")
STEPS = (1.0, 0.5, 0.25, 0.125)
"""Shares of input channels that are tried, the largest first."""


@dataclass(frozen=True)
class Sparse:
    """Shares by patterns of names, and of how many last layers the biases are trained (None: of all)."""

    shares: tuple[tuple[str, float, float], ...]  # pattern, of inputs, of outputs
    biases: int | None = 0

    @property
    def spelt(self) -> dict[str, Any]:
        """As a file says it."""
        names = {name: {"inputs": inputs, "outputs": outputs} for name, inputs, outputs in self.shares}
        return {"biases": ALL if self.biases is None else self.biases, "weights": names}

    def find(self, network: Network) -> dict[str, Trained]:
        """What is trained of each layer. Raises InputError for a pattern that no layer with weights has."""
        weighted = [layer for layer in network.layers if isinstance(layer.op, Conv | Linear)]
        found: dict[str, Trained] = {}
        for pattern, inputs, outputs in self.shares:
            layers = [
                x for x in weighted if fnmatchcase(x.name, pattern) or fnmatchcase(x.name, f"{pattern}.*")
            ]
            if not layers:
                raise _refused(
                    repr(pattern),
                    f"names of layers with weights, as {weighted[0].name} to {weighted[-1].name}",
                )
            found |= {layer.name: _share(layer, inputs, outputs) for layer in layers}
        count = len(weighted) if self.biases is None else self.biases
        for layer in weighted[len(weighted) - min(count, len(weighted)) :]:
            found |= _bias(layer, network, found.get(layer.name))
        if not any(
            found[layer.name].weights or layer.biases for layer in network.layers if layer.name in found
        ):
            raise _refused("nothing", "shares of weights, or biases that the network has")
        return found


def greedy(fits: Callable[[Sparse], bool], network: Network) -> Sparse:
    """From the classifier back: of each layer the bias and the largest share of its inputs that still fit.

    ``fits`` is asked of every trial. It ends at the first layer whose bias does not fit any more: before it
    the error would have to pass through more. Raises InputError where not even the classifier fits.
    """
    layers = {layer.name: layer.op for layer in network.layers if isinstance(layer.op, Conv | Linear)}
    names = [*layers]
    found = Sparse(((names[-1], 1.0, 1.0),), 1)
    if not fits(found):
        raise _refused("auto", "a board that has room for the classifier's step", "")
    for name in reversed(names[:-1]):
        more = Sparse(found.shares, (found.biases or 0) + 1)
        if not fits(more):
            break
        steps = STEPS if _divides(layers[name]) else STEPS[:1]
        trials = (Sparse(((name, share, 1.0), *more.shares), more.biases) for share in steps)
        found = next(filter(fits, trials), more)
    return found


def read(path: str) -> Sparse:
    """What a file says. Raises InputError for one that cannot be read, and for what it cannot say."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.endswith(".json") else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise InputError(
            f"--train sparse:{path}",
            got=reason,
            wanted="a TOML or JSON file",
            do="correct the path or the file",
        ) from error
    if not isinstance(data, dict) or not data or set(data) - {"biases", "weights"}:
        raise _refused(", ".join(data) if data else "nothing", "the keys weights and biases", path)
    weights = data.get("weights", {})
    if not isinstance(weights, dict):
        raise _refused(f"weights = {weights!r}", "shares by names of layers", path)
    shares = tuple((name, *_sides(name, value, path)) for name, value in weights.items())
    return Sparse(shares, _biases(data.get("biases", 0), path))


def _biases(value: Any, path: str) -> int | None:
    if value == ALL:
        return None
    if type(value) is not int or value < 0:
        raise _refused(f"biases = {value!r}", f'a number of last layers from 0, or "{ALL}"', path)
    return value


def _sides(name: str, value: Any, path: str) -> tuple[float, float]:
    given: Mapping[str, Any] = value if isinstance(value, dict) else {"inputs": value}
    numbers = [given.get(side, 1) for side in SIDES]
    good = all(type(n) in (int, float) and 0 < n <= 1 for n in numbers)
    if not good or not given or set(given) - set(SIDES):
        raise _refused(
            f"{name} = {value!r}", "a share above 0 up to 1, or {inputs = ..., outputs = ...}", path
        )
    return float(numbers[0]), float(numbers[1])


def _share(layer: Layer, inputs: float, outputs: float) -> Trained:
    """So many of the first channels, one at least; a depthwise layer has as many inputs as outputs."""
    op = layer.op
    if min(inputs, outputs) < 1 and not _divides(op):
        raise _refused(
            f"a share of {layer.name}", "convolutions of one group, or depthwise ones, or all of it"
        )
    if isinstance(op, Conv) and op.groups == op.channels > 1:
        count = _count(op.channels, min(inputs, outputs))
        return Trained(biases=False, levels=False, outputs=count, inputs=count)
    assert isinstance(op, Conv | Linear)
    whole = (op.in_channels, op.channels) if isinstance(op, Conv) else (op.in_features, op.features)
    taken = [_count(n, share) for n, share in zip(whole, (inputs, outputs), strict=True)]
    return Trained(biases=False, levels=False, inputs=taken[0], outputs=taken[1])


def _divides(op: Op) -> bool:
    """Whether a part of the channels can learn: groups of several channels would be cut through."""
    return not isinstance(op, Conv) or op.groups == 1 or op.groups == op.in_channels == op.channels


def _count(channels: int, share: float) -> int | None:
    found = max(1, math.floor(channels * share))
    return None if found == channels else found


def _bias(layer: Layer, network: Network, trained: Trained | None) -> dict[str, Trained]:
    """The layer's own bias, or the shift of the batch norm that reads it alone."""
    own = trained or FROZEN
    norms = [x for x in network.layers if isinstance(x.op, BatchNorm) and x.inputs == (layer.name,)]
    found = {norm.name: BIASES for norm in norms}
    if layer.biases:
        found[layer.name] = Trained(own.weights, True, False, own.outputs, own.inputs)
    return found


def _refused(got: str, wanted: str, path: str = "") -> InputError:
    subject = f"--train sparse:{path}" if path else "--train sparse"
    return InputError(subject, got=got, wanted=wanted, do="see docs/usage.md for the form of the file")
