"""Other norms in place of a network's batch norms, without what these have learnt being lost."""

import torch
from torch import Tensor, nn

from blockwise.layers.norm_constants import constants, folded
from blockwise.layers.norms import BATCH_NORMS, BatchNorm, ConstantNorm, replace_norms
from blockwise.layers.weighted import Weighted
from blockwise.nets.chain import Chain, ReplacedNorm
from devices.errors import InputError
from devices.network.trace import symbolic

DEFAULT = "batch"
"""Leaves the norms of a network as they are."""
CONSTANT = ("frozen", "none")
"""In place of norms that have learnt, these compute what they did."""


def renorm(chain: Chain, norm: str, *, trained: bool) -> Chain:
    """Put ``norm`` in place of every batch norm of ``chain``, which notes where they stood; returns it.

    Of a ``trained`` network norms that have learnt become constants: frozen norms take scale and shift, and
    where there is none they go into the layer before. Raises InputError for an unknown norm, and where a
    trained norm would go without a layer that can take its constants, or has no statistics to be constants.
    """
    if norm in CONSTANT:
        norms = {path: part for path, part in chain.named_modules() if isinstance(part, BATCH_NORMS)}
        layers = _layers_before(chain, norms) if norm == "none" and norms else {}
        chain.replaced = {
            path.removeprefix("units."): ReplacedNorm(layers.get(path, "").removeprefix("units."), part.eps)
            for path, part in norms.items()
        }
        if trained:
            for path, part in norms.items():
                _check_statistics(chain, norm, path, part)
                _freeze(chain, path, part) if norm == "frozen" else _fold(chain, path, part, layers.get(path))
    replace_norms(chain, norm)
    if norm != DEFAULT:
        chain.norm = norm
    return chain


def _layers_before(chain: Chain, norms: dict[str, BatchNorm]) -> dict[str, str]:
    """Norm -> the layer with weights whose output it alone reads, by the graph: both by their paths."""
    found = {}
    for node in symbolic(chain, chain.name).nodes:
        if node.op == "call_module" and node.target in norms:
            (source,) = node.all_input_nodes
            if source.op == "call_module" and [*source.users] == [node]:
                layer = chain.get_submodule(str(source.target))
                if isinstance(layer, Weighted):
                    found[str(node.target)] = str(source.target)
    return found


def _freeze(chain: Chain, path: str, norm: BatchNorm) -> None:
    if not _has_learnt(norm):  # its constants are those of the first images
        return
    scale, shift = _constants(norm)
    frozen = ConstantNorm(norm.num_features).to(scale.device)
    frozen.load_state_dict({"scale": scale, "shift": shift, "ready": torch.ones(())})
    chain.set_submodule(path, frozen)


def _fold(chain: Chain, path: str, norm: BatchNorm, before: str | None) -> None:
    learnt = _has_learnt(norm)
    if before is None:
        if learnt:
            raise InputError(
                f"{chain.name}: --norm none", got=f"{path.removeprefix('units.')}, a trained norm of what no "
                "layer with weights gives to it alone", wanted="norms right behind convolutions or linear "
                "layers", do="choose --norm frozen, or change the module",
            )  # fmt: skip
        return
    layer = chain.get_submodule(before)
    assert isinstance(layer, Weighted)
    with torch.no_grad():
        if learnt:
            weight, bias = folded(layer.weight, layer.bias, *_constants(norm))
            layer.weight.copy_(weight)
            layer.bias = nn.Parameter(bias.detach())
        elif layer.bias is None:
            layer.bias = nn.Parameter(layer.weight.new_zeros(len(layer.weight)))
    chain.set_submodule(path, nn.Identity())


def _constants(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        return constants(norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps)


def _check_statistics(chain: Chain, asked: str, path: str, norm: BatchNorm) -> None:
    """Refuse factors that were trained with the statistics of each batch. Raises InputError."""
    if norm.running_mean is None and _other((norm.weight, 1), (norm.bias, 0)):
        raise InputError(
            f"{chain.name}: --norm {asked}", got=f"{path.removeprefix('units.')}, a trained norm without "
            "running statistics", wanted="norms whose mean and variance are known", do="choose --norm batch "
            "or group, or train the module with track_running_stats",
        )  # fmt: skip


def _has_learnt(norm: BatchNorm) -> bool:
    """Whether it has statistics, and anything in it is other than where norms begin."""
    if norm.running_mean is None or norm.running_var is None:
        return False
    return _other((norm.running_mean, 0), (norm.running_var, 1), (norm.weight, 1), (norm.bias, 0))


def _other(*parts: tuple[Tensor | None, int]) -> bool:
    """Whether any value that is there is another than it begins with."""
    held = [(part, start) for part, start in parts if part is not None and not part.is_meta]
    return any(bool((part != start).any()) for part, start in held)
