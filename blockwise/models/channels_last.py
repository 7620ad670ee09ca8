"""Maps whose channels were moved behind space: what is computed there, computed with the channels in front.

A layer norm between two permutations becomes a norm over channels, a linear layer a 1x1 convolution with the
same weights, and the permutations go; as in ConvNeXt (arXiv 2201.03545). Whatever else reads such a map gets
it permuted. A linear layer of a map as it is, such as that over the places of MLP-Mixer (arXiv 2105.01601),
gets its last dimension in front.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from blockwise.layers.scaled import ChannelNorm
from blockwise.models.called_with_weights import TENSORS
from blockwise.models.constants import ARITHMETIC
from blockwise.models.editing import Editing, Shape, argument, known, name_of, stood_at
from blockwise.models.functions import RESHAPES, SAME, TORCH
from blockwise.models.only_scaled import only_scaled
from blockwise.models.rearranging import order_of
from blockwise.models.reshaping import Reshape
from devices.network.ops import ChannelDropout, of_module_class
from devices.network.trace import op_class

TOKENS = 2
"""Dimensions of tokens (N, C)."""
RESHAPING = (nn.Flatten, nn.Unflatten, Reshape)
CONVOLUTIONS: dict[int, Callable[..., nn.Conv1d | nn.Conv2d]] = {2: nn.Conv1d, 3: nn.Conv2d}


class ChannelsLast(Editing):
    """Marks by ``meta["last"]`` the nodes that stand for maps with channels last, and have them in front."""

    def run(self) -> None:
        """Node by node; then the permutations are gone, but for those that others read."""
        for node in list(self.root.graph.nodes):
            if node.op in ("placeholder", "output", "get_attr"):
                continue
            read = node.all_input_nodes
            if name_of(node) in SAME:  # the type of a second map, and nothing else of it
                read = read[:1]
            sources = [x for x in read if x.meta.get("last")]
            if node.meta["shape"] is None:
                self._restore(node, sources if node.meta.get("shapes") else [])  # all parts of a map
            elif not sources:
                self._begin(node)
            elif not self._goes_on(node, sources):
                self._restore(node, sources)
        output = next(node for node in self.root.graph.nodes if node.op == "output")
        self._restore(output, [x for x in output.all_input_nodes if x.meta.get("last")])

    def _begin(self, node: fx.Node) -> None:
        """A permutation, or a layer of each place's last dimension, of a map with channels in front."""
        if self._is_linear(node) or self._is_norm_of_tokens(node):
            self._turn(node)
            return
        rank = len(node.meta["shape"]) + 1
        turns = rank - 1 in CONVOLUTIONS and order_of(node) == (0, *range(2, rank), 1)
        if turns and self._read_by_layers(node):
            self._as(node, nn.Identity(), node.all_input_nodes[0], "permute")

    def _is_linear(self, node: fx.Node) -> bool:
        """Of each place of a map."""
        (source, *_) = node.all_input_nodes or (None,)
        if source is None or len(source.meta["shape"] or ()) not in CONVOLUTIONS:
            return False
        if node.op == "call_module":
            return isinstance(self.root.get_submodule(str(node.target)), nn.Linear)
        return name_of(node) == "linear" and self._own(node)

    def _is_norm_of_tokens(self, node: fx.Node) -> bool:
        """Whether it normalises each of several tokens (B, N, C) by itself."""
        (source, *_) = node.all_input_nodes or (None,)
        if source is None or len(source.meta["shape"] or ()) != TOKENS:
            return False
        if node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            return isinstance(module, nn.LayerNorm) and module.normalized_shape == source.meta["shape"][-1:]
        asked = known(argument(node, "normalized_shape", 1))
        return name_of(node) == "layer_norm" and tuple(asked) == source.meta["shape"][-1:] and self._own(node)

    def _turn(self, node: fx.Node) -> None:
        """Its input, and with it what it makes."""
        source = node.all_input_nodes[0]
        self._in_front(node, source)
        self._goes_on(node, [node.all_input_nodes[0]])

    def _in_front(self, node: fx.Node, source: fx.Node) -> None:
        """What ``node`` reads of a map, with its last dimension in front."""
        *space, channels = source.meta["shape"]
        self._permute(
            node, source, (len(space) + 1, *range(1, len(space) + 1)), (channels, *space), last=True
        )

    def _profits(self, user: fx.Node) -> bool:
        """Whether a reader is a layer that has a form for channels in front."""
        if user.op == "call_module":
            module = self.root.get_submodule(str(user.target))
            return isinstance(module, nn.Linear | nn.LayerNorm)
        if name_of(user) in RESHAPES and user.meta["shape"] is not None:
            source = user.all_input_nodes[0]
            return user.meta["shape"][-1:] == source.meta["shape"][-1:] and self._read_by_layers(user)
        return name_of(user) in ("layer_norm", "linear")

    def _read_by_layers(self, node: fx.Node) -> bool:
        return any(self._profits(user) for user in node.users)

    def _goes_on(self, node: fx.Node, sources: list[fx.Node]) -> bool:
        rank = len(node.meta["shape"]) + 1
        module = self.root.get_submodule(str(node.target)) if node.op == "call_module" else None
        if module is not None or name_of(node) in ("layer_norm", "linear"):
            made = self._layer(node, module, sources[0])
            if made is not None:
                self._as(node, made, sources[0], str(node.target) if module else name_of(node))
                return True
        if self._regroups(node, module, sources[0]):
            return True
        if module is not None:
            return self._passes(node, module)
        if order_of(node) == (0, rank - 1, *range(1, rank - 1)):  # back
            self.put(node, nn.Identity(), self.path_of(node, "permute"), sources[0])
            return True
        called = name_of(node)
        others = [x for x in node.all_input_nodes if x.meta["shape"] is not None and x not in sources]
        arithmetic = called in ARITHMETIC and all(x.meta["shape"] == node.meta["shape"] for x in others)
        arithmetic = arithmetic and all(map(_of_last, node.all_input_nodes))
        for other in others if arithmetic else ():
            self._in_front(node, other)
        if arithmetic or called in SAME:
            self._mark(node)
            return True
        return self._passes(node, None) or (called == "mean" and self._mean(node, sources[0]))

    def _regroups(self, node: fx.Node, module: nn.Module | None, source: fx.Node) -> bool:
        """A view that counts places otherwise, as (H, W, C) becomes (H W, C): of the map in front as well."""
        channels, *space = source.meta["shape"]
        *places, last = node.meta["shape"]
        views = name_of(node) in RESHAPES or isinstance(module, RESHAPING)
        if not views or last != channels or len(places) + 1 not in CONVOLUTIONS:
            return False
        if math.prod(places) != math.prod(space):
            return False
        self._as(node, Reshape((channels, *places)), source, str(node.target) if module else name_of(node))
        return True

    def _passes(self, node: fx.Node, module: nn.Module | None) -> bool:
        """Whether it does the same with each element, wherever it stands."""
        kind = TORCH.get(name_of(node).replace("_", "")) if module is None else None
        op = op_class(module) if module is not None else of_module_class(kind) if kind else None
        alike = name_of(node) in ("clamp", "clip") and module is None
        if op is not None:
            stays = op.kind == "view" and module is not None and not isinstance(module, RESHAPING)
            alike = stays or (op.elementwise and not op.normalises) or (op.drops and op is not ChannelDropout)
            alike = alike or op.kind == "sigmoid"
        if alike:
            self._mark(node)
        return alike

    def _layer(self, node: fx.Node, module: nn.Module | None, source: fx.Node) -> nn.Module | None:
        channels, rank = source.meta["shape"][0], len(source.meta["shape"])
        if isinstance(module, nn.LayerNorm):
            wanted, at = tuple(module.normalized_shape) == (channels,), f"{node.target}.weight"
            return _norm(channels, module.eps, module.weight, module.bias, at) if wanted else None
        if isinstance(module, nn.Linear):
            return _convolution(rank, module.weight, module.bias)
        if module is not None or not self._own(node):
            return None
        return self._function(node, channels, rank)

    def _function(self, node: fx.Node, channels: int, rank: int) -> nn.Module | None:
        """A layer norm or linear layer of parameters that stand elsewhere."""
        paths = self._paths(node)
        weight, bias = (None if path is None else self.root.get_parameter(path) for path in paths.values())
        if name_of(node) == "linear":
            made = None if weight is None else _convolution(rank, weight, bias)
        elif tuple(known(argument(node, "normalized_shape", 1))) == (channels,):
            made = _norm(channels, argument(node, "eps", 4, 1e-5), weight, bias, paths["weight"])
        else:
            return None
        return made if made is None or isinstance(made, nn.Sequential) else stood_at(made, **paths)

    def _own(self, node: fx.Node) -> bool:
        """Whether the function's parameters are read as they are."""
        found = [argument(node, name, at) for name, at in TENSORS[name_of(node)].items()]
        return all(x is None or (isinstance(x, fx.Node) and x.op == "get_attr") for x in found)

    def _paths(self, node: fx.Node) -> dict[str, str | None]:
        """Of the function's parameters, by what a layer calls them."""
        given = {name: argument(node, name, at) for name, at in TENSORS[name_of(node)].items()}
        return {name: None if x is None else str(x.target) for name, x in given.items()}

    def _mean(self, node: fx.Node, source: fx.Node) -> bool:
        """Over space, which stands elsewhere now."""
        dims, rank = known(argument(node, "dim", 1)), len(source.meta["shape"]) + 1
        dims = [dims] if isinstance(dims, int) else list(dims or ())
        dims = [dim % rank for dim in dims]
        keeps = bool(argument(node, "keepdim", 2, False))
        if not dims or any(dim in (0, rank - 1) for dim in dims) or (not keeps and len(dims) < rank - 2):
            return False
        node.args, node.kwargs = (source, [dim + 1 for dim in dims], keeps), {}
        if keeps:
            self._mark(node)
        return True

    def _as(self, node: fx.Node, module: nn.Module, source: fx.Node, path: str) -> None:
        self._mark(node)
        self.put(node, module, path if node.op == "call_module" else self.path_of(node, path), source)

    def _mark(self, node: fx.Node) -> None:
        *space, channels = node.meta["shape"]
        node.meta.update(shape=(channels, *space), last=True)

    def _restore(self, node: fx.Node, sources: list[fx.Node]) -> None:
        """For a reader that wants the channels where they were."""
        for source in sources:
            channels, *space = source.meta["shape"]
            self._permute(node, source, (*range(2, len(space) + 2), 1), (*space, channels), last=False)

    def _permute(
        self, node: fx.Node, source: fx.Node, order: tuple[int, ...], made: Shape, *, last: bool
    ) -> None:
        """What ``node`` reads of ``source``, which becomes ``made``."""
        with self.root.graph.inserting_before(node):
            permuted = self.root.graph.call_method("permute", (source, 0, *order))
        permuted.meta.update(shape=made, last=last)
        permuted.stack_trace = node.stack_trace
        node.replace_input_with(source, permuted)


def _of_last(source: fx.Node) -> bool:
    """Whether it is a map, or a constant that has at most one value for each place of the last dimension."""
    if source.meta["shape"] is not None:
        return True
    sides = torch.as_tensor(source.meta["value"]).shape
    return math.prod(sides) == (sides[-1] if sides else 1)


def _norm(
    channels: int, eps: float, weight: Tensor | None, bias: Tensor | None, path: str | None
) -> nn.Module | None:
    """``path`` is where its weight stood."""
    if weight is None and bias is not None:
        return None
    if weight is not None and bias is None:
        return only_scaled(ChannelNorm(channels, eps, affine=False), weight, path)
    norm = ChannelNorm(channels, eps, affine=weight is not None)
    with torch.no_grad():
        for own, value in ((norm.weight, weight), (norm.bias, bias)):
            if own is not None and value is not None:
                own.copy_(value)
    return norm


def _convolution(rank: int, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """1x1, with the weights of a linear layer."""
    conv = CONVOLUTIONS[rank](weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    conv.weight = nn.Parameter(weight.detach().clone().view(conv.weight.shape))
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone())
    return conv
