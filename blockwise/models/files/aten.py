"""Calls of ATen operations in a program of torch.export: their names and arguments."""

from typing import Any

from torch import fx

from blockwise.models.files.exported_layers import Given

Call = tuple[Any, tuple[Any, ...]]
"""An operation and its arguments."""


def aten_name(node: fx.Node) -> str:
    """Of an operation, in place or not; empty for what is none of ATen."""
    schema = getattr(node.target, "_schema", None)
    return "" if schema is None else str(schema.name).removeprefix("aten::").removesuffix("_")


def arguments(node: fx.Node) -> Given:
    """Those that were given, by name, in the order of the schema; its defaults are not among them."""
    target: Any = node.target
    names = (argument.name for argument in target._schema.arguments)
    return dict(zip(names, node.args, strict=False)) | node.kwargs


def operands(node: fx.Node) -> tuple[Any, ...]:
    """Arguments that were given without a name."""
    return node.args
