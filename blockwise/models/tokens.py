"""Trained tokens beside those of an image, as the class token of a vision transformer.

``torch.cat((token.expand(len(x), -1, -1), x), 1)`` puts a parameter beside a map (Dosovitskiy et al. 2020,
arXiv 2010.11929). The plan knows no map that is made of nothing: here it is a part of the map, times zero,
plus the parameter, and no gradient goes back to that part.
"""

import math

import torch
from torch import fx

from blockwise.layers.scaled import ChannelScale, Scaled
from blockwise.models.constants import RESHAPES, count_of, parameter_of
from blockwise.models.editing import Editing, Shape, argument, known, name_of, stood_at
from blockwise.models.reshaping import Slice

SPREADS = (*RESHAPES, "expand", "repeat", "expand_as", "tile")


class Tokens(Editing):
    """Makes maps of parameters that stand beside maps."""

    def run(self) -> None:
        """In every concatenation of maps and parameters."""
        for node in list(self.root.graph.nodes):
            maps = argument(node, "tensors", 0) if name_of(node) == "cat" else None
            if isinstance(maps, list | tuple) and node.meta["shape"] is not None:
                rank = len(node.meta["shape"]) + 1
                dim = known(argument(node, "dim", 1, node.kwargs.get("axis", 0))) % rank
                source = next(x for x in maps if x.meta["shape"] is not None)
                made = [
                    x if x.meta["shape"] is not None else token_beside(self, node, x, source, dim)
                    for x in maps
                ]
                node.args, node.kwargs = (made,), {"dim": dim}


def token_beside(editing: Editing, node: fx.Node, token: fx.Node, source: fx.Node, dim: int) -> fx.Node:
    """A map of ``token``, a parameter, for ``node``, made of a part of ``source``.

    Raises InputError for what is no parameter or is not the same for each image, for parts of the batch
    (``dim`` 0), and for one that is larger than the map.
    """
    path, whole = parameter_of(token), source.meta["shape"]
    shape: Shape = tuple(torch.as_tensor(token.meta["value"]).shape[1:])
    if path is None or dim == 0 or count_of(token, SPREADS) != math.prod(shape):
        raise editing.refused(node, f"{path or 'a constant'} beside a map")
    if len(shape) != len(whole) or any(side > of for side, of in zip(shape, whole, strict=True)):
        raise editing.refused(node, f"{path} of {shape} beside a smaller map of {whole}")
    flat = editing.root.get_parameter(path).detach().reshape(-1)
    corner = Slice((0,) * len(shape), shape, (1,) * len(shape))
    part = editing.insert(node, corner, f"{path}_part", source, shape)
    zeros = editing.insert(node, Scaled(0.0), f"{path}_zeros", part, shape)
    module = stood_at(ChannelScale(bias=flat, sides=shape), bias=path)
    return editing.insert(node, module, f"{path}_token", zeros, shape)
