"""Networks that end in a softmax, or its logarithm: their losses take one, so it is left out.

The cross entropy of logits is that of their log-softmax, which a second one does not change; the class that
is predicted is the same.
"""

from collections.abc import Callable

from torch import Tensor, fx, nn
from torch.nn import functional as F

from blockwise.models.editing import argument, name_of
from blockwise.system.notes import note

Ending = Callable[[Tensor], Tensor]
ENDINGS: dict[str, Ending] = {
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
}
MODULES = {nn.Softmax: "softmax", nn.LogSoftmax: "log_softmax"}


def without_softmax(root: nn.Module, graph: fx.Graph, name: str) -> Ending:
    """Take the softmax over classes at the end out of ``graph``; returns what it did, or nothing at all."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    last = output.args[0]
    if not isinstance(last, fx.Node):
        return _as_it_is
    module = root.get_submodule(str(last.target)) if last.op == "call_module" else None
    called = name_of(last) if module is None else MODULES.get(type(module), "")
    dim = argument(last, "dim", 1) if module is None else getattr(module, "dim", None)
    if called not in ENDINGS or dim not in (1, -1, None):
        return _as_it_is
    output.args = (last.all_input_nodes[0],)
    graph.erase_node(last)
    note(f"{name} is trained without the {called.replace('_', '-')} at its end, which its loss has")
    return ENDINGS[called]


def _as_it_is(x: Tensor) -> Tensor:
    return x
