"""Read the layers, shapes and parameter counts off a PyTorch module, without computing anything.

The module is traced symbolically (torch.fx) and its shapes are found on an empty batch.
"""

import copy
import os
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import fx, nn

from devices.errors import InputError
from devices.network import ops
from devices.network.layers import Layer
from devices.network.ops import Call, Op, Unknown

PAIR = 2  # the least batch that losses between samples take
EMPTY = 0  # a batch with shapes but nothing to compute; for meta tensors torch would load its compiler
MADE = ""
"""In place of the path of a module that is made as it is called."""
NOT_OWN = ("/torch/", "/devices/network/", "/models/shaped.py")
"""In the names of files that are no user's code."""
OURS = tuple(f"{Path(__file__).parents[2] / package}{os.sep}" for package in ("blockwise", "devices"))
"""Where these packages lie."""
NO_USERS = (*OURS, "<eval_with_key>")
"""Beginnings of files whose lines tell users nothing; the last is what torch.fx has written itself."""


def op_class(module: nn.Module) -> type[Op] | None:
    """The operation of a module: its own ``op``, that of its ``op_kind``, or of the class it derives from."""
    own = getattr(module, "op", None)
    if isinstance(own, Op):
        return type(own)
    return ops.of_module_class(type(module), getattr(module, "op_kind", None))


class Tracer(fx.Tracer):
    """Stops at every module that is an operation, quantized layers included."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return op_class(m) is not None and module_qualified_name != MADE

    def path_of_module(self, mod: nn.Module) -> str:
        """A module that is made as it is called has none: without weights of its own, its code tells all.

        So ``self.layers[:2](x)`` and ``nn.ReLU()(x)`` are what their parts and functions are.
        """
        try:
            return super().path_of_module(mod)
        except NameError:
            own = {*map(id, _held(self.root))}
            if all(id(tensor) in own for tensor in _held(mod)):
                return MADE
            raise InputError(
                f"{type(mod).__name__}", got="weights or statistics made where it is called",
                wanted="layers that are there before", do="make it in __init__, as an attribute",
            ) from None  # fmt: skip

    def create_node(self, *arguments: Any, **named: Any) -> fx.Node:
        """A node that knows where the user's code calls it: the innermost line that is not PyTorch's.

        Not by ``record_stack_traces``: PyTorch loads its compiler to look up the names of its own frames.
        """
        node = super().create_node(*arguments, **named)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and any(part in frame.f_code.co_filename for part in NOT_OWN):
            frame = frame.f_back
        if frame is not None and not frame.f_code.co_filename.startswith(NO_USERS):
            code = frame.f_code
            node.stack_trace = f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}'
        return node


def _held(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


class Shapes(fx.Interpreter):
    """Notes in every node the shape of its tensor without the batch, or None for what is no tensor.

    PyTorch's own pass for this loads what works with shapes that are symbols, which takes as long as a plan.
    """

    extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        n.meta["shape"] = tuple(result.shape[1:]) if isinstance(result, torch.Tensor) else None
        return result


def trace(module: nn.Module, inputs: Mapping[str, tuple[int, ...]], prefix: str) -> tuple[Layer, ...]:
    """The layers of ``module`` in execution order, named ``prefix.<path>``.

    ``inputs`` gives, for each argument of ``module.forward``, the name of the layer it comes from
    and its shape without the batch (an empty shape stands for class labels). Raises InputError
    naming what is none of the known operations.
    """
    abstract = any(parameter.is_meta for parameter in module.parameters())
    with _at_rest(module) as root:
        graph = symbolic(root, prefix)
        _find_shapes(root, graph, [_example(shape, abstract) for shape in inputs.values()], prefix)
        placeholders = [node for node in graph.nodes if node.op == "placeholder"]
        names = dict(zip(placeholders, inputs, strict=True))
        layers = []
        for node in graph.nodes:
            if node.op in ("placeholder", "output"):
                continue
            path = str(node.target) if node.op == "call_module" else node.name
            taken = f"{prefix}.{path}" in names.values()  # a module that is called twice
            names[node] = f"{prefix}.{node.name if taken else path}"
            layers.append(_layer(node, root, names))
    return tuple(layers)


@contextmanager
def _at_rest(module: nn.Module) -> Iterator[nn.Module]:
    """``module`` at rest for as long, or a copy of it where that is not all that would change.

    It is copied to the CPU from an accelerator, and where a part that is not PyTorch's own holds tensors: a
    quantizer may take its levels from the first that it sees.
    """
    parts = list(module.modules())
    elsewhere = any(p.device.type not in ("cpu", "meta") for p in module.parameters())
    if elsewhere or any(map(_may_change, parts)):
        twin = copy.deepcopy(module).eval()
        yield twin.cpu() if elsewhere else twin
        return
    trained = [part for part in parts if part.training]
    try:
        yield module.eval()
    finally:
        for part in trained:
            part.training = True


def _may_change(part: nn.Module) -> bool:
    """Whether running the part at rest, or its code, may change more than the mode it is in."""
    own = (*part.parameters(recurse=False), *part.buffers(recurse=False))
    return bool(own) and not type(part).__module__.startswith("torch.nn.")


def symbolic(module: nn.Module, name: str, tracer: Tracer | None = None) -> fx.Graph:
    """The graph of ``module``, with every module that is an operation as a leaf.

    ``tracer`` is one of values that are more than names, if they have to be. Raises InputError if torch.fx
    cannot trace it.
    """
    paths = {part: path for path, part in module.named_modules()}
    row = _row(module)
    if row is not None:
        return _graph_of([paths[part] for part in row])
    try:
        return (tracer or Tracer()).trace(module)
    except InputError as error:
        subject = f"{name}: {error.subject}{place_of(error)}"
        raise InputError(subject, got=error.got, wanted=error.wanted, do=error.do) from error
    except Exception as error:  # whatever the module's own code raises on symbolic values
        raise InputError(
            f"{name}{place_of(error)}", got=f"{type(error).__name__}: {_line(error)}",
            wanted="a network that torch.fx can trace",
            do="leave out branches and loops that depend on the values of tensors",
        ) from error  # fmt: skip


def _row(module: nn.Module) -> list[nn.Module] | None:
    """The operations that ``module`` calls one after the other; None where its code must tell."""
    if type(module) is not nn.Sequential:
        return None
    row: list[nn.Module] = []
    for part in module:
        parts = [part] if op_class(part) is not None else _row(part)
        if parts is None or part._forward_hooks or part._forward_pre_hooks:
            return None
        row += parts
    return row


def _graph_of(row: Iterable[str]) -> fx.Graph:
    """What torch.fx finds in such a row, in a tenth of the time: it patches a hundred functions for that."""
    graph = fx.Graph()
    node = graph.placeholder("input")
    for path in row:
        node = graph.call_module(path, (node,))
    graph.output(node)
    return graph


def place_of(error: BaseException) -> str:
    """Where an error was raised in code that is neither PyTorch's nor of these packages; "" if nowhere."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" in {Path(error.filename).name}, line {error.lineno}"
    ours = (str(Path(torch.__file__).parent), *OURS, "<")  # "<" begins what is in no file
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)]
    return f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def links(module: nn.Module, name: str) -> tuple[Layer, ...]:
    """The layers of ``module`` by path, in execution order, with their operations and what each reads.

    Without shapes. What is none of the known operations is an :class:`~devices.network.ops.Unknown`.
    Raises InputError if torch.fx cannot trace the module called ``name``.
    """
    layers: list[Layer] = []
    names: dict[fx.Node, str] = {}
    for node in symbolic(module, name).nodes:
        path = str(node.target) if node.op == "call_module" else node.name
        names[node] = node.name if path in names.values() else path  # a module that is called twice
        if node.op not in ("placeholder", "output"):
            layers.append(Layer(names[node], _op(node, module), _sources(node, names), ()))
    return tuple(layers)


def _find_shapes(module: nn.Module, graph: fx.Graph, examples: list[torch.Tensor], name: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # of statistics of nothing
        try:
            with torch.no_grad():
                Shapes(module, graph=graph).run(*examples)
        except Exception as error:
            shapes = ", ".join("x".join(map(str, x.shape[1:])) for x in examples if x.ndim > 1)
            raise InputError(
                f"{name} on {shapes}", got=f"{type(error).__name__}: {_line(error)}",
                wanted="an input that every layer takes", do="use larger images or another model",
            ) from error  # fmt: skip


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]


def _example(shape: tuple[int, ...], abstract: bool) -> torch.Tensor:
    dtype = torch.float32 if shape else torch.int64
    if abstract:
        return torch.empty(PAIR, *shape, dtype=dtype, device="meta")
    return torch.empty(EMPTY, *shape, dtype=dtype, device="cpu")  # whatever is made now: this is there


def _layer(node: fx.Node, root: nn.Module, names: Mapping[fx.Node, str]) -> Layer:
    op = _op(node, root)
    if isinstance(op, Unknown):
        raise InputError(
            f"layer {names[node]}", got=f"the operation {op.called!r}", wanted="one with a cost row",
            do="add it to devices/network/ops",
        )  # fmt: skip
    return Layer(names[node], op, _sources(node, names), _shape(node))


def _sources(node: fx.Node, names: Mapping[fx.Node, str]) -> tuple[str, ...]:
    """What a layer reads. Raises InputError for a map that it reads twice: nothing below counts it so."""
    if _repeats(node):
        raise InputError(
            f"layer {names[node]}", got="the same map twice", wanted="each input once",
            do="read it the second time through a torch.nn.Identity",
        )  # fmt: skip
    return tuple(names[source] for source in node.all_input_nodes)


def _repeats(node: fx.Node) -> bool:
    """Whether a node has another one several times among its arguments, of which fx's inputs tell once."""
    read: list[fx.Node] = []
    fx.map_arg((node.args, node.kwargs), read.append)
    return len(read) > len(node.all_input_nodes)


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Of the node's output, without the batch; nothing where shapes were not found."""
    return node.meta.get("shape") or ()


def _op(node: fx.Node, root: nn.Module) -> Op:
    """The operation of a node, with the geometry of what it calls."""
    module = root.get_submodule(str(node.target)) if node.op == "call_module" else None
    called = type(module).__name__ if module else getattr(node.target, "__name__", str(node.target))
    found = op_class(module) if module is not None else ops.of_function(called)
    if found is None:
        return Unknown(called)
    own = getattr(module, "op", None)
    if isinstance(own, Op):
        return own
    shapes = tuple(_shape(source) for source in node.all_input_nodes)
    return found.of(Call(called, module, node.args, node.kwargs, shapes, _shape(node)))
