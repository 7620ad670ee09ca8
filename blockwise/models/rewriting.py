"""The nodes of a traced module, each made to call a module of its own or a function of several tensors."""

import copy
import operator
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.dropout import _DropoutNd

from blockwise.layers.attention import multiply_matrices
from blockwise.layers.scaled import Scaled
from blockwise.models.attention import Attention
from blockwise.models.called_with_weights import got, layer_of
from blockwise.models.channels_last import ChannelsLast
from blockwise.models.constants import ADDS, ARITHMETIC, TAKES, with_constant
from blockwise.models.editing import Editing, Shape, argument, known, name_of
from blockwise.models.einsums import Einsums
from blockwise.models.functions import module_of
from blockwise.models.group_norms_written_out import GroupNormsWrittenOut
from blockwise.models.kept import Kept
from blockwise.models.masks import FILLS, Choices, fill
from blockwise.models.maxima import Maxima
from blockwise.models.norms_written_out import SQUARES, NormsWrittenOut
from blockwise.models.only_scaled import is_only_scaled, only_scaled, without_scale
from blockwise.models.rearranging import (
    DIVIDES,
    divided,
    indexed,
    narrowed,
    order_of,
    permuted,
    shuffled,
    side_by_side,
)
from blockwise.models.reducing import windows
from blockwise.models.reshaping import Expand, Padding, Reshape, Slice
from blockwise.models.spread_out import SPREADS, SpreadOut
from blockwise.models.stacked import Stacked
from blockwise.models.tokens import Tokens
from blockwise.models.unbound import Unbound
from blockwise.models.written_out import WrittenOut, number_of
from devices.errors import InputError

BETWEEN: dict[str, Callable[..., Tensor]] = {
    "add": operator.add, "iadd": operator.add, "add_": operator.add,
    "mul": operator.mul, "imul": operator.mul, "mul_": operator.mul,
    "cat": torch.cat,
}  # fmt: skip
"""Functions of several tensors, which stay functions."""

IN_ANOTHER_FORM = (
    Unbound, Einsums, Choices, Attention, Maxima, Stacked, Tokens, Kept, SpreadOut, WrittenOut,
    NormsWrittenOut, GroupNormsWrittenOut, ChannelsLast,
)  # fmt: skip
"""What is written out of several functions, or in another layout."""

DRAWS = ("new_empty", "empty_like", "bernoulli", "bernoulli_", "rand_like")
"""What a drop path of one's own calls."""

ADAPTIVE_MAX = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
CONSTANT_PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)


def rewrite(root: fx.GraphModule, name: str) -> None:
    """Every node that makes a tensor calls a module, or a function of several tensors.

    Raises InputError for what no layer does, with the line of the user's code.
    """
    for step in (*IN_ANOTHER_FORM, Rewriting):
        step(root, name).run()


class Rewriting(Editing):
    """Replaces the nodes of a graph, in order."""

    def __init__(self, root: fx.GraphModule, name: str) -> None:
        super().__init__(root, name)
        self.called = set[nn.Module]()

    def run(self) -> None:
        """Each by what it calls; what only reads sizes or constants goes, as nobody asks for it any more."""
        for node in list(self.root.graph.nodes):
            if node.op == "call_module":
                self._own(node)
            elif node.op in ("call_function", "call_method", "get_attr"):
                self._function(node)
        for node in self.root.graph.nodes:
            self._nothing_dropped(node)
        for node in reversed(self.root.graph.nodes):
            if node.meta.get("aside") and not node.users:
                self.root.graph.erase_node(node)
        for node in self.root.graph.nodes:
            if node.meta.get("aside"):
                raise self._left_over(node)

    def _nothing_dropped(self, node: fx.Node) -> None:
        """A dropout of rate 0, as one that is switched off, is no layer."""
        path = str(node.target)
        module = self.root.get_submodule(path) if node.op == "call_module" else None
        if isinstance(module, _DropoutNd) and not module.p:
            self.root.set_submodule(path, nn.Identity())

    def _left_over(self, node: fx.Node) -> InputError:
        """Of a constant or a size that somebody computes with."""
        if node.op != "get_attr":
            parts = node.meta.get("parts") is not None
            return self.refused(
                node, "all parts of a map" if parts else "a size that the network computes with"
            )
        what = "parameter" if node.meta["trained"] else "tensor"
        return self.refused(next(iter(node.users)), f"the {what} {node.target} outside a layer")

    def _own(self, node: fx.Node) -> None:
        """Every call has a module of its own."""
        module = self.root.get_submodule(str(node.target))
        read, made = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
        if read is None:
            raise self.refused(node, f"{type(module).__name__} of what does not depend on the input")
        if isinstance(module, nn.Linear) and len(read) != 1:
            raise self.refused(node, f"a linear layer on each place of {read}")
        changed = self._in_other_form(module, read, made, str(node.target))
        if changed is not None:
            self.put(node, changed, str(node.target))
            return
        if isinstance(module, nn.AvgPool2d | nn.AvgPool3d) and module.divisor_override:
            raise self.refused(node, "an average with a divisor of its own")
        if module in self.called:
            if next(module.parameters(), None) is not None:
                raise self.refused(node, "weights that two layers share")
            self.put(node, copy.deepcopy(module), str(node.target))
        self.called.add(module)

    def _in_other_form(self, module: nn.Module, read: Shape, made: Shape, path: str) -> nn.Module | None:
        """The module that does the same, of those that have a layer; None for one that has it itself."""
        if is_only_scaled(module):
            return only_scaled(without_scale(module), module.get_parameter("weight"), f"{path}.weight", read)
        if isinstance(module, nn.Flatten | nn.Unflatten) and len(made) != 1:
            return Reshape(made)
        if isinstance(module, ADAPTIVE_MAX):
            return windows(read, made)
        if isinstance(module, CONSTANT_PADS) and not module.value:
            return Padding(tuple(module.padding))
        if type(module) is nn.Hardtanh and (module.min_val, module.max_val) == (0, 6):
            return nn.ReLU6()
        return None

    def _function(self, node: fx.Node) -> None:
        called = name_of(node)
        if node.meta["shape"] is None:  # what only reads sizes, or works on constants
            if called in DIVIDES and node.meta["shapes"] is not None:
                divided(self, node)
            node.meta["aside"] = True
        elif called in ARITHMETIC and with_constant(self, node):
            pass
        elif called in FILLS:
            fill(self, node)
        elif called in SQUARES and number_of(argument(node, "exponent", 1, 2)) == 2:
            node.args, node.kwargs = (node.all_input_nodes[0],) * 2, {}
            self._between(node, "mul")
        elif called in BETWEEN or called in TAKES:
            self._between(node, called)
        elif called == "glu":
            self._gated(node)
        elif node.target is multiply_matrices:
            return
        else:
            module = self._module(node)
            if module is None:
                raise self._without_form(node)
            (source, *_) = node.all_input_nodes
            whole = source.all_input_nodes[0] if source.meta.get("parts") else source
            self.put(node, module, self.path_of(node, called), whole)

    def _without_form(self, node: fx.Node) -> InputError:
        if name_of(node) not in DRAWS:
            return self.refused(node, got(node))
        return InputError(
            f"layer {node.name} of {self.name}", got=f"{name_of(node)!r}, for numbers that its code draws",
            wanted="what is random in modules of its own",
            do="use nn.Dropout or torchvision.ops.StochasticDepth",
        )  # fmt: skip

    def _module(self, node: fx.Node) -> nn.Module | None:
        source = node.all_input_nodes[0]
        if source.meta.get("shapes") is not None and not source.meta.get("parts"):
            raise self.refused(source, f"several results of {name_of(source) or source.target!r}")
        if source.meta["shape"] is None and not source.meta.get("parts"):  # a constant stands first
            return None
        called, order = name_of(node), order_of(node)
        if order is not None:
            return permuted(self, node, order)
        if called == "getitem":
            return indexed(self, node)
        if called in SPREADS and len(source.meta["shape"]) == len(node.meta["shape"]):
            return Expand(node.meta["shape"])
        if called in ("narrow", "select"):
            return narrowed(self, node)
        return layer_of(self, node) or shuffled(node) or module_of(node)

    def _between(self, node: fx.Node, called: str) -> None:
        """Sums, products and concatenations of maps: of nothing but tensors."""
        if called == "cat":
            dim = argument(node, "dim", 1, node.kwargs.get("axis", 0))
            maps = argument(node, "tensors", 0)
            if not isinstance(maps, fx.Node):  # all parts of a map are refused behind
                side_by_side(self, node, self._each_once(node, maps), dim % (len(node.meta["shape"]) + 1))
                return
        else:
            first, second = self._each_once(node, [argument(node, "input", 0), argument(node, "other", 1)])
            if called in TAKES or called in ADDS:
                first, second = self._summands(node, called, first, second)
                called = "add"
            node.args, node.kwargs = (first, second), {}
        node.op, node.target = "call_function", BETWEEN[called]

    def _each_once(self, node: fx.Node, maps: Sequence[fx.Node]) -> list[fx.Node]:
        """A map that stands there again is read through a view of it: layers read nothing twice."""
        path, same = self.path_of(node, "again"), nn.Identity
        return [
            self.insert(node, same(), path, x, x.meta["shape"]) if x in maps[:index] else x
            for index, x in enumerate(maps)
        ]

    def _summands(self, node: fx.Node, called: str, first: fx.Node, second: fx.Node) -> list[fx.Node]:
        """Of one shape; what is taken away is added with the other sign."""
        if called == "rsub":
            first, second = second, first
        factor = float(known(node.kwargs.get("alpha", 1))) * (-1 if called in TAKES else 1)
        if factor != 1:
            path = self.path_of(node, "neg" if factor == -1 else "scaled")
            second = self.insert(node, Scaled(factor), path, second, second.meta["shape"])
        return [self._spread(node, x) for x in (first, second)]

    def _spread(self, node: fx.Node, source: fx.Node) -> fx.Node:
        """As large as the sum: one row, column or channel may stand for all."""
        found, made = source.meta["shape"], node.meta["shape"]
        if found == made:
            return source
        if len(found) != len(made):
            raise self.refused(node, f"a sum of maps of {found} and {made}")
        return self.insert(node, Expand(made), self.path_of(node, "expand"), source, made)

    def _gated(self, node: fx.Node) -> None:
        """A gated linear unit (Dauphin et al. 2017, arXiv 1612.08083): half of the channels gate the rest."""
        source, dim = node.all_input_nodes[0], argument(node, "dim", 1, -1)
        whole, made = source.meta["shape"], node.meta["shape"]
        if dim % (len(whole) + 1) != 1:
            raise self.refused(node, f"a gated linear unit along dimension {dim}")
        rest, ones = (0,) * (len(whole) - 1), (1,) * len(whole)
        path = self.path_of(node, "glu")
        halves = [
            self.insert(node, Slice((start, *rest), made, ones), f"{path}_{what}", source, made)
            for start, what in ((0, "values"), (made[0], "gates"))
        ]
        gate = self.insert(node, nn.Sigmoid(), f"{path}_sigmoid", halves[1], made)
        node.op, node.target, node.args, node.kwargs = "call_function", operator.mul, (halves[0], gate), {}
