"""What a program of torch.export computes itself, at rest."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from blockwise.models.files.aten import aten_name
from blockwise.models.files.comparing import check_same

BATCH = 2
"""Where the program takes any."""


def compare(made: fx.GraphModule, program: ExportedProgram, source: fx.Node, subject: str) -> None:
    """Compare what was read of ``program`` with it; images enter it at ``source``.

    Raises InputError for other values.
    """
    images = source.meta["val"]
    batch = images.shape[0] if isinstance(images.shape[0], int) else BATCH
    types = {
        x.meta["val"].dtype for x in program.graph.nodes if isinstance(x.meta.get("val"), Tensor)
    }  # fmt: skip
    least = max((x for x in types if x.is_floating_point), key=lambda x: torch.finfo(x).eps)
    shape = (batch, *map(int, images.shape[1:]))
    check_same(made, _values(program, source), shape, subject, given=images.dtype, precision=least)


def _values(program: ExportedProgram, source: fx.Node) -> Callable[[Tensor], Tensor]:
    """The program as a function of its only input; numbers and flags have the values of the export."""
    specs = program.graph_signature.input_specs
    inputs = [spec.arg for spec in specs if spec.kind is InputKind.USER_INPUT]
    at_rest = cache(_at_rest)

    def values(x: Tensor) -> Tensor:
        flat = [x if arg.name == source.name else getattr(arg, "value", None) for arg in inputs]
        args, kwargs = pytree.tree_unflatten(flat, program.call_spec.in_spec)
        (made,) = pytree.tree_leaves(at_rest(program)(*args, **kwargs))
        assert isinstance(made, Tensor)
        return made

    return values


def _at_rest(program: ExportedProgram) -> fx.GraphModule:
    """With its dropouts and norms at rest, whatever mode it was exported in."""
    module = program.module()
    assert isinstance(module, fx.GraphModule)
    for node in module.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        names = [argument.name for argument in schema.arguments] if schema is not None else []
        for index, name in enumerate(names[: len(node.args)]):
            if name in ("train", "training") and _has_rest(node, names):
                node.update_arg(index, False)
        if aten_name(node) == "bernoulli":  # of a decomposed dropout: what it keeps is scaled behind
            for scaled in (node, *(user for user in node.users if aten_name(user) == "div")):
                scaled.update_arg(1, 1.0)
    module.recompile()
    return module


def _has_rest(node: fx.Node, names: list[str]) -> bool:
    """A norm without statistics has none."""
    if "running_mean" not in names:
        return "norm" not in aten_name(node)
    return node.args[names.index("running_mean")] is not None
