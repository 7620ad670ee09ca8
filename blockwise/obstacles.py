"""What cannot be trained: on a single sample, layers that compare samples; on integers, norms and sums."""

import math
from collections.abc import Sequence

from blockwise.integer.ops import largest_batch
from devices.errors import InputError
from devices.integer import FORMS, form_name, is_local
from devices.network import Layer, Network

INTEGER_KINDS = ("conv", "linear", "relu", "view", "max_pool", "avg_pool", "cross_entropy")


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


def check_integer(network: Network, regimes: Sequence[str], batch_size: int, head: str) -> None:
    """Refuse what integer regimes cannot train. Raises InputError."""
    subject = f"regime {regimes[0]}"
    for layer in network.layers:
        if layer.kind not in INTEGER_KINDS:
            raise InputError(
                subject, got=f"a network with {_spelt(layer)}", wanted="one without norms and residual sums",
                do="use --model plain6, or --norm none where there is no sum",
            )  # fmt: skip
    local = any(is_local(regime) for regime in regimes)
    _check_pools(network, network.all_layers if local else network.layers)
    if local:
        _check_heads(network, head)
    for regime in regimes:
        if FORMS[form_name(regime)].one_layer:
            _check_layers(network, regime)
    positions = max(math.prod(layer.shape[1:]) for layer in network.layers if layer.weights)
    if batch_size > largest_batch(positions):
        raise InputError(
            "--batch-size", got=f"{batch_size} with {subject}",
            wanted=f"at most {largest_batch(positions)}, for weight gradients are sums of 32 bits",
            do="use a smaller batch",
        )  # fmt: skip


def _check_heads(network: Network, head: str) -> None:
    for block in network.blocks[:-1]:
        if {layer.kind for layer in block.head} <= {"view", "avg_pool", "linear", "cross_entropy"}:
            continue
        similar = any(layer.kind == "similarity_loss" for layer in block.head)
        raise InputError(
            "--head", got=f"{head}, {'a similarity loss' if similar else 'which has convolutions and norms'}",
            wanted="a pooled linear layer in integer regimes", do="use --head gap or --head pred",
        )  # fmt: skip


def _check_pools(network: Network, used: Sequence[Layer]) -> None:
    """Means over windows of a power of two are shifts."""
    shapes = {layer.name: layer.shape for layer in network.all_layers}
    for layer in used:
        if layer.kind != "avg_pool":
            continue
        side, pooled = shapes[layer.inputs[0]][1:], layer.shape[1:]
        window, rest = divmod(side[0], pooled[0])
        if side[0] != side[1] or rest or window & window - 1:
            raise InputError(
                f"average pool {layer.name}", got=f"a map of {side[0]}x{side[1]} for {pooled[0]}x{pooled[1]}",
                wanted="square windows of a power of two in integer regimes: a shift divides",
                do="use another --image-size or --head",
            )  # fmt: skip


def _check_layers(network: Network, regime: str) -> None:
    for block in network.blocks:
        layers = [layer.name for layer in (*block.layers, *block.head) if layer.weights]
        if len(layers) > 2:
            raise InputError(
                f"regime {regime}", got=f"block {block.name} with the layers {', '.join(layers)}",
                wanted="one layer and a classifier in each, for errors pass one layer within 32 bits",
                do="use --blocks layers",
            )  # fmt: skip


def _spelt(layer: Layer) -> str:
    names = {"add": "a residual sum"}
    return f"{names.get(layer.kind, layer.kind.replace('_', ' '))} ({layer.name})"
