"""Layer norms over channels that are written out: ``(x - u) / torch.sqrt(s + eps)``.

There u is the mean over channels of each place and s that of ``(x - u) ** 2``, or a biased variance; as
people write it for maps whose channels stand first. As one norm it keeps one map.
"""

from typing import Any

from torch import fx

from blockwise.layers.scaled import ChannelNorm
from blockwise.models.constants import ADDS, DIVIDES, MULTIPLIES, TAKES
from blockwise.models.editing import Editing, argument, known, name_of
from blockwise.models.written_out import number_of

SQUARES = ("pow", "square", "pow_")


class NormsWrittenOut(Editing):
    """Puts the norm in the place of the quotient."""

    def run(self) -> None:
        """Each; then what led to it goes, unless others read it."""
        for node in list(self.root.graph.nodes):
            if name_of(node) in (*DIVIDES, *MULTIPLIES):
                found = self._norm(node)
                if found is not None:
                    x, eps = found
                    module = ChannelNorm(x.meta["shape"][0], eps, affine=False)
                    self.put(node, module, self.path_of(node, "norm"), x)
        self.root.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output", "call_module"))

    def _norm(self, node: fx.Node) -> tuple[fx.Node, float] | None:
        """What is normed, and eps."""
        above, below = argument(node, "input", 0), argument(node, "other", 1)
        root = "sqrt" if name_of(node) in DIVIDES else "rsqrt"
        x = _centred(above)
        if x is None or not isinstance(below, fx.Node) or name_of(below) != root:
            return None
        inside = below.all_input_nodes[0]
        both = argument(inside, "input", 0), argument(inside, "other", 1)
        eps = [value for value in map(number_of, both) if value is not None]
        spread = [value for value in both if number_of(value) is None]
        if name_of(inside) not in ADDS or len(eps) != 1 or not _is_variance(spread[0], x):
            return None
        return x, eps[0]


def _centred(node: Any) -> fx.Node | None:
    """The map of which the mean over channels is taken away."""
    if not isinstance(node, fx.Node) or name_of(node) not in TAKES or name_of(node) == "rsub":
        return None
    x, mean = argument(node, "input", 0), argument(node, "other", 1)
    return x if isinstance(mean, fx.Node) and _over_channels(mean, "mean") is x else None


def _is_variance(node: Any, x: fx.Node) -> bool:
    if not isinstance(node, fx.Node):
        return False
    if _over_channels(node, "var") is x:
        return argument(node, "unbiased", 2) is False or bool(node.kwargs.get("correction", 1) == 0)
    square = _over_channels(node, "mean")
    if square is None or name_of(square) not in SQUARES:
        return False
    two = name_of(square) == "square" or bool(argument(square, "exponent", 1) == 2)
    return two and _centred(argument(square, "input", 0)) is x


def _over_channels(node: fx.Node, called: str) -> fx.Node | None:
    """What ``called`` is taken of over the channels, which are left with one place."""
    if name_of(node) != called:
        return None
    source, dim = argument(node, "input", 0), known(argument(node, "dim", 1))
    dims = [dim] if isinstance(dim, int) else list(dim or ())
    keeps = node.kwargs.get("keepdim", node.args[-1] if node.args[2:] else False)
    rank = len(source.meta["shape"] or ()) + 1
    return source if keeps is True and [d % rank for d in dims] == [1] else None
