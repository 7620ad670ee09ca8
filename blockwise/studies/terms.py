"""What the reference study's formula counts, tensor by tensor.

Its sums are :func:`devices.memory.paper.paper_figures`; here each term stands for itself, named after the
tensor of a real program that holds the same values. :mod:`blockwise.studies.differences` compares.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from devices.network import Layer, Network
from devices.network.ops import Conv
from devices.program.accountings import FLOAT_BITS

ACTIVATION, WEIGHTS, BIASES = "activation", "weights", "biases"
STATE = "state"


class TermKey(NamedTuple):
    """Which values of which layer: its activation, weights, biases (or norm), or their state."""

    layer: str
    what: str


@dataclass(frozen=True)
class Claim:
    """A term of the study's sum."""

    elements: int
    width: int  # bits per element

    @property
    def bits(self) -> int:
        """Elements times width."""
        return self.elements * self.width


def training_claims(network: Network, bits: int, batch: int) -> dict[TermKey, Claim]:
    """All activations for every image; float parameters with one momentum each."""
    activations = {key: Claim(batch * elements, bits) for key, elements in _activations(network)}
    parameters = dict(_parameters(network, FLOAT_BITS))
    momenta = {TermKey(key.layer, f"{key.what} {STATE}1"): claim for key, claim in parameters.items()}
    return activations | parameters | momenta


def inference_claims(network: Network, bits: int) -> tuple[dict[TermKey, Claim], Claim]:
    """Parameters at ``bits`` bits, and the largest activation, whichever it is."""
    largest = max(elements for _, elements in _activations(network))
    return dict(_parameters(network, bits)), Claim(largest, bits)


def _parameters(network: Network, bits: int) -> Iterator[tuple[TermKey, Claim]]:
    for layer in network.layers:
        for what, elements in ((WEIGHTS, layer.weights), (BIASES, layer.biases)):
            if elements:
                yield TermKey(layer.name, what), Claim(elements, bits)


def _activations(network: Network) -> Iterator[tuple[TermKey, int]]:
    """The images, and each convolution's output under the name of the layer that makes it codes."""
    yield TermKey(network.source, ACTIVATION), math.prod(network.in_shape)
    layers, taken = network.layers, set[str]()
    for index, layer in enumerate(layers):
        if isinstance(layer.op, Conv):
            codes = _codes_of(layer, layers[index + 1 :])
            name = layer.name if codes in taken else codes  # two convolutions may meet in one sum
            taken.add(name)
            yield TermKey(name, ACTIVATION), layer.elements


def _codes_of(layer: Layer, behind: Sequence[Layer]) -> str:
    """The ReLU or quantizer that a convolution's output reaches, or the convolution itself."""
    name = layer.name
    for reader in behind:
        if name in reader.inputs:
            if reader.op.makes_codes:
                return reader.name
            if reader.op.accumulates:
                break
            name = reader.name
    return layer.name
