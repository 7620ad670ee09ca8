"""Weights put into a network before its training."""

import torch

from blockwise.experiment.initial.deployed import deployed
from blockwise.experiment.initial.integers import biased
from blockwise.experiment.initial.matching import Match, as_named, layers_of, matched, renamed
from blockwise.experiment.initial.taken import Taken
from blockwise.experiment.initial.weights import Weights
from blockwise.layers.norm_constants import PARTS
from blockwise.models import Chain
from blockwise.nets.blocks import BlockNet

QUANTIZER = "quantizer"
"""In the names of what belongs to one."""


def take(weights: Weights, chain: Chain) -> Match:
    """Copy into the layers of ``chain``, in float. Raises InputError for weights of another network."""
    state = chain.units.state_dict()
    found = _matched(weights, chain)
    with torch.no_grad():
        for name, tensor in found.found.items():
            state[name].copy_(tensor)
    return found


def take_quantizers(weights: Weights, chain: Chain) -> None:
    """Copy the values of quantizers, where those of ``chain`` are the source's own."""
    state, classes = chain.units.state_dict(), _classes(weights, chain)
    given = {
        name: tensor
        for name, tensor in weights.tensors.items()
        if QUANTIZER in name and name in state and (classes or not name.startswith("classifier."))
    }
    chain.units.load_state_dict(given, strict=False)


def take_heads(weights: Weights, net: BlockNet) -> None:
    """Copy those of local heads, which are the source's own."""
    net.heads.load_state_dict(dict(weights.heads), strict=False)  # integers have no biases


def told(weights: Weights, chain: Chain, *, heads: bool, quantizers: bool, integers: bool) -> Taken:
    """What is taken into the float network ``chain``."""
    found = take(weights, chain)
    return Taken(
        weights.source, weights.regime, weights.digest, len(found.found),
        sum(tensor.numel() for tensor in found.found.values()), layers_of(found.left), found.classifier,
        layers_of(name for name in found.unused if QUANTIZER not in name), found.by_order, heads, quantizers,
        integers and biased(chain),
    )  # fmt: skip


def _classes(weights: Weights, chain: Chain) -> bool:
    """Whether both tell as many classes apart."""
    return not _matched(weights, chain).classifier


def _matched(weights: Weights, chain: Chain) -> Match:
    state = chain.units.state_dict()
    norms = [f"{norm}.{part}" for norm in chain.replaced for part in PARTS]
    source = as_named(renamed(weights.tensors, chain.paths, state), [*state, *norms])
    source = deployed(source, state, chain.replaced, weights.eps)
    return matched(f"--init {weights.source}", source, state, told_in_order=weights.in_order)
