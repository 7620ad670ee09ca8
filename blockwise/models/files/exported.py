"""``FILE.pt2``: a program of torch.export, whose operations of ATen become layers again.

It may have been exported for one size of batch and at rest: it is trained like any other.
"""

import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.nn import functional as F

from blockwise.models.files.assembly import Assembly
from blockwise.models.reshaping import Reshape
from devices.errors import InputError

Given = Mapping[str, Any]

RESHAPES = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "_unsafe_view", "unflatten")
SAME = ("clone", "contiguous", "alias", "detach", "_to_copy", "to", "lift_fresh_copy")
SAME_NAME = (
    "relu", "relu6", "leaky_relu", "silu", "gelu", "hardswish", "hardsigmoid", "hardtanh", "dropout", "pad",
    "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
)  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(F, name) for name in SAME_NAME},
    "feature_dropout": F.dropout2d, "constant_pad_nd": F.pad, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "mean": torch.mean, "amax": torch.amax, "clamp": torch.clamp, "cat": torch.cat, "glu": F.glu,
    "add": torch.add, "mul": torch.mul, "sub": torch.sub, "rsub": torch.rsub, "div": torch.div,
    "neg": torch.neg, "erf": torch.erf, "permute": torch.permute, "transpose": torch.transpose,
    "select": torch.select, "chunk": torch.chunk, "split": torch.split, "split_with_sizes": torch.split,
    "getitem": operator.getitem,
}  # fmt: skip
"""Operation of ATen -> the function of PyTorch with the same arguments."""

ARITHMETIC = ("add", "mul", "sub", "rsub", "div")
"""Of two operands, of which either may be a constant."""

REARRANGES = ("permute", "transpose", "select", "chunk", "split", "split_with_sizes")
"""Whose arguments have other names in PyTorch, in the same order."""

DROPPED = ("train", "dtype", "memory_format")
"""Arguments of theirs that say how, not what."""


def load(path: Path, in_shape: tuple[int, ...]) -> nn.Module:
    """The program as a module for inputs (B, *in_shape).

    Raises InputError for a file that torch.export did not save, other inputs, and unknown operations.
    """
    try:
        program = torch.export.load(path)
    except Exception as error:  # of zip files, of schemas, of versions
        words = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise InputError(
            f"--model {path}", got=words, wanted="a file of torch.export.save",
            do="save it again, with this version of PyTorch",
        ) from error  # fmt: skip
    return _Conversion(program, path, in_shape).run()


class _Conversion:
    def __init__(self, program: ExportedProgram, path: Path, in_shape: tuple[int, ...]) -> None:
        self.program, self.path, self.made = program, path, Assembly()
        signature = program.graph_signature
        names = {
            **signature.inputs_to_parameters, **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }  # fmt: skip
        values = {**program.state_dict, **program.constants}
        self.tensors: dict[str, tuple[str, Tensor]] = {
            placeholder: (name, values[name]) for placeholder, name in names.items()
        }
        self.known: dict[fx.Node, fx.Node] = {}
        inputs = [n for n in program.graph.nodes if n.op == "placeholder" and n.name not in self.tensors]
        shapes = [tuple(n.meta["val"].shape) for n in inputs]
        if len(inputs) != 1 or tuple(shapes[0][1:]) != in_shape:
            raise InputError(
                f"--model {path}", got=f"inputs of {' and '.join(str(s[1:]) for s in shapes)}",
                wanted=f"one of {in_shape}, as the data has them", do="use other data or export it for these",
            )  # fmt: skip
        self.known[inputs[0]] = self.made.input

    def run(self) -> nn.Module:
        """Node by node; what only counts batches, or asserts, is left out."""
        for node in self.program.graph.nodes:
            reads = any(source in self.known for source in node.all_input_nodes)
            if (
                node.op == "call_function"
                and reads
                and isinstance(node.meta.get("val"), Tensor | list | tuple)
            ):
                self.known[node] = self._converted(node)
        output = next(node for node in self.program.graph.nodes if node.op == "output")
        results = [self.known[node] for node in output.all_input_nodes if node in self.known]
        return self.made.finish(results[-1], self.path.stem)

    def _converted(self, node: fx.Node) -> fx.Node:
        target: Any = node.target
        if target is operator.getitem:
            return self.made.function(target, self.known[node.args[0]], node.args[1])  # type: ignore[index]
        name = target._schema.name.removeprefix("aten::").removesuffix("_")
        given = dict(zip((a.name for a in target._schema.arguments), node.args, strict=False)) | node.kwargs
        source = next(x for x in node.all_input_nodes if x in self.known)
        if name in LAYERS:
            path, module = self._layer(name, given, len(node.meta["val"].shape))
            return self.made.layer(path, module, self.known[source])
        if name in SAME:
            return self.known[source]
        if name in RESHAPES and source.meta["val"].shape[0] == node.meta["val"].shape[0]:
            after = tuple(map(int, node.meta["val"].shape[1:]))
            return self.made.layer(node.name, Reshape(after), self.known[source])
        if name == "slice":
            part = slice(given.get("start"), given.get("end"), given.get("step"))
            index = (*[slice(None)] * given.get("dim", 0), part)
            return self.made.function(operator.getitem, self.known[source], index)
        if name not in FUNCTIONS:
            raise self._refused(node, target.name())
        return self._function(name, given)

    def _function(self, name: str, given: Given) -> fx.Node:
        first, *others = (fx.map_arg(x, self._operand) for x in given.values())
        options = {
            key: value for key, value in zip(list(given)[1:], others, strict=True)
            if key not in DROPPED and value not in ([], None)
        }  # fmt: skip
        if name == "hardtanh" and (options.get("min_val"), options.get("max_val")) == (0, 6):
            return self.made.function(F.relu6, first)
        if name in ARITHMETIC:
            return self.made.function(FUNCTIONS[name], first, options.pop("other"), **options)
        if name in REARRANGES:
            return self.made.function(FUNCTIONS[name], first, *options.values())
        return self.made.function(FUNCTIONS[name], first, **options)

    def _operand(self, node: fx.Node) -> fx.Node:
        """A map, or what stands in the program beside layers."""
        if node in self.known or node.name not in self.tensors:
            return self.known.get(node, node)
        path, value = self.tensors[node.name]
        trained = node.name in self.program.graph_signature.inputs_to_parameters
        return self.made.tensor(path, value, trained=trained)

    def _layer(self, name: str, given: Given, rank: int) -> tuple[str, nn.Module]:
        """The path in the user's module, and a module of torch.nn with the weights."""
        tensors = {
            key: self.tensors[value.name]
            for key, value in given.items() if isinstance(value, fx.Node) and value.name in self.tensors
        }  # fmt: skip
        options = {key: value for key, value in given.items() if not isinstance(value, fx.Node)}
        module = LAYERS[name](options, {key: value for key, (_, value) in tensors.items()}, rank)
        with torch.no_grad():
            for key, (_, value) in tensors.items():
                getattr(module, key).copy_(value)
        where, _ = next(iter(tensors.values()), (name, None))
        return where.rpartition(".")[0], module

    def _refused(self, node: fx.Node, called: str) -> InputError:
        place = next(iter(node.meta.get("nn_module_stack", {}).values()), (node.name, None))
        stack = [*node.meta.get("nn_module_stack", {}).values()]
        where = (stack[-1] if stack else place)[0] or node.name
        return InputError(
            f"--model {self.path}: {where}", got=f"the operation {called}",
            wanted=f"one of {', '.join((*LAYERS, *FUNCTIONS, *RESHAPES))}", do="replace it and export again",
        )  # fmt: skip


def _convolution(options: Given, tensors: Mapping[str, Tensor], rank: int) -> nn.Module:
    weight = tensors["weight"]
    kind: Any = (nn.Conv1d, nn.Conv2d)[rank - 3]
    groups = options.get("groups", 1)
    made: nn.Module = kind(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), options.get("stride", 1),
        options.get("padding", 0), options.get("dilation", 1), groups, "bias" in tensors,
    )  # fmt: skip
    return made


def _linear(options: Given, tensors: Mapping[str, Tensor], rank: int) -> nn.Module:
    features, in_features = tensors["weight"].shape
    return nn.Linear(in_features, features, "bias" in tensors)


def _batch_norm(options: Given, tensors: Mapping[str, Tensor], rank: int) -> nn.Module:
    kind = nn.BatchNorm2d if rank == 4 else nn.BatchNorm1d
    statistics = "running_mean" in tensors
    channels = len(next(iter(tensors.values())))
    return kind(
        channels, options.get("eps", 1e-5), options.get("momentum", 0.1), "weight" in tensors, statistics
    )


def _layer_norm(options: Given, tensors: Mapping[str, Tensor], rank: int) -> nn.Module:
    return nn.LayerNorm(options["normalized_shape"], options.get("eps", 1e-5), "weight" in tensors)


def _group_norm(options: Given, tensors: Mapping[str, Tensor], rank: int) -> nn.Module:
    channels = len(tensors["weight"])
    return nn.GroupNorm(options["num_groups"], channels, options.get("eps", 1e-5))


LAYERS: dict[str, Callable[[Given, Mapping[str, Tensor], int], nn.Module]] = {
    "conv1d": _convolution, "conv2d": _convolution, "linear": _linear, "batch_norm": _batch_norm,
    "layer_norm": _layer_norm, "group_norm": _group_norm,
}  # fmt: skip
"""Operation of ATen with weights -> the layer, of its options, its tensors and the rank of its output."""
