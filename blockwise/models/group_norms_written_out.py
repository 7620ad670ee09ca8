"""Group norms (Wu & He 2018, arXiv 1803.08494) that are written out as norms of rows: one row a group.

The exporters to ONNX write ``nn.GroupNorm(G, C)`` as a view (B, G, ...), an instance norm of its G rows that
scales by 1 and shifts by 0, the view back, and a scale and a shift of each of the C channels. As one norm it
keeps one map, and trains these scales and shifts alone.
"""

from typing import NamedTuple

import torch
from torch import Tensor, fx, nn

from blockwise.models.constants import ADDS, MULTIPLIES, count_of, parameter_of
from blockwise.models.editing import Editing, Shape, argument, name_of, stood_at
from blockwise.models.reshaping import Reshape

VIEWS = (Reshape, nn.Flatten, nn.Unflatten)


class Taken(NamedTuple):
    """A parameter of channels that the only reader of a map takes."""

    reader: fx.Node
    values: Tensor  # (C,)
    path: str


class GroupNormsWrittenOut(Editing):
    """Puts the norm in the place of the last of these operations."""

    def run(self) -> None:
        """Each, with its scale and shift; one without both stays if its rows have their own."""
        for node in list(self.root.graph.nodes):
            norm = self._called(node)
            if isinstance(norm, nn.GroupNorm) and norm.num_groups == norm.num_channels and _is_plain(norm):
                self._norm(node, norm)

    def _norm(self, node: fx.Node, rows: nn.GroupNorm) -> None:
        before, after = node.all_input_nodes[0], _only_reader(node)
        if after is None or not self._views(before) or not self._views(after) or len(before.users) > 1:
            return
        source, groups = before.all_input_nodes[0], rows.num_groups
        shape: Shape = source.meta["shape"]
        if after.meta["shape"] != shape or before.meta["shape"][0] != groups or shape[0] % groups:
            return
        scaled = _behind(after, MULTIPLIES, shape)
        shifted = None if scaled is None else _behind(scaled.reader, ADDS, shape)
        if scaled is not None and shifted is not None:
            made = _affine(nn.GroupNorm(groups, shape[0], rows.eps), scaled, shifted)
            last, inner = shifted.reader, [scaled.reader, after, node, before]
        elif rows.affine:
            return
        else:
            made = nn.GroupNorm(groups, shape[0], rows.eps, affine=False)
            last, inner = after, [node, before]
        self.put(last, made, self.path_of(last, "group_norm"), source)
        for gone in inner:
            self.root.graph.erase_node(gone)

    def _called(self, node: fx.Node) -> nn.Module | None:
        return self.root.get_submodule(str(node.target)) if node.op == "call_module" else None

    def _views(self, node: fx.Node) -> bool:
        return isinstance(self._called(node), VIEWS) or name_of(node) in ("view", "reshape")


def _affine(norm: nn.GroupNorm, scaled: Taken, shifted: Taken) -> nn.Module:
    norm.weight, norm.bias = nn.Parameter(scaled.values), nn.Parameter(shifted.values)
    return stood_at(norm, weight=scaled.path, bias=shifted.path)


def _is_plain(norm: nn.GroupNorm) -> bool:
    """Whether it scales and shifts nothing."""
    if norm.weight is None:
        return True
    if norm.weight.is_meta:
        return False
    at_one = torch.equal(norm.weight, torch.ones_like(norm.weight))
    return at_one and norm.bias is not None and torch.equal(norm.bias, torch.zeros_like(norm.bias))


def _only_reader(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _behind(node: fx.Node, kind: tuple[str, ...], shape: Shape) -> Taken | None:
    """The only reader of ``node``, if it takes a parameter of the channels, too."""
    reader = _only_reader(node)
    if reader is None or name_of(reader) not in kind or reader.kwargs.get("alpha", 1) != 1:
        return None
    both = argument(reader, "input", 0), argument(reader, "other", 1)
    (other,) = [x for x in both if x is not node] or [None]
    parameter = parameter_of(other) if isinstance(other, fx.Node) and other.meta["shape"] is None else None
    if parameter is None:
        return None
    value, wanted = other.meta["value"].detach(), (shape[0], *[1] * (len(shape) - 1))
    if value.shape[-len(wanted) :] != wanted or value.numel() != shape[0] or count_of(other) != shape[0]:
        return None
    return Taken(reader, value.float().reshape(-1).clone(), parameter)
