"""What cannot be trained on a single sample: layers that compare the samples of a batch."""

import math

from devices.network import Layer, Network


def compares_samples(network: Network) -> str:
    """Why the network, its heads included, needs two samples at a time; empty if it does not."""
    reasons = ((layer.name, _reason(layer)) for layer in network.all_layers)
    return next((f"{reason} ({name})" for name, reason in reasons if reason), "")


def _reason(layer: Layer) -> str:
    if layer.kind == "similarity_loss":
        return "the similarity loss compares samples"
    if layer.kind.startswith("batch_norm") and math.prod(layer.shape[1:]) == 1:
        return "the norm of flat features compares samples"
    return ""
