"""``FILE.onnx``: a graph of ONNX, whose operators become layers again.

An example passes the graph while it is read, so that every shape is known, and what only computes with
shapes is constant.
"""

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from blockwise.models.files.assembly import Assembly
from blockwise.models.files.onnx_functions import ARITHMETIC, DRAWN, MASKED, REARRANGES, REDUCES, VIEWS
from blockwise.models.files.onnx_layers import LAYERS, SHAPES, WEIGHTS
from blockwise.models.files.onnx_maker import Constants, Options, Unsuitable
from blockwise.models.files.onnx_matrices import turned
from blockwise.models.files.onnx_parts import leaves_first_out, parts
from blockwise.models.files.onnx_values import compare
from devices.errors import InputError


def load(path: Path, in_shape: tuple[int, ...]) -> nn.Module:
    """The graph as a module for inputs (B, *in_shape).

    Raises InputError without the package onnx, for a file that is none of its, other inputs, and operators
    that no layer computes.
    """
    try:
        import onnx  # type: ignore[import-not-found, unused-ignore]  # an extra
    except ImportError as error:
        raise InputError(
            f"--model {path}", got="no package onnx", wanted="the extra onnx",
            do="pip install '.[onnx]'",
        ) from error  # fmt: skip
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # of protobuf and of the checker
        words = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise InputError(f"--model {path}", got=words, wanted="an ONNX file", do="export it again") from error
    return _Reading(onnx, model, path, in_shape).run()


class _Reading:
    """Values by name: of the example as it passes, and of the graph; constants have no node."""

    def __init__(self, onnx: Any, model: Any, path: Path, in_shape: tuple[int, ...]) -> None:
        self.onnx, self.model, self.path, self.made = onnx, model, path, Assembly(f"--model {path}")
        self.values = {x.name: self._initializer(x) for x in model.graph.initializer}
        self.own = frozenset(self.values)  # initializers, not constants of the code
        self.origins: dict[str, str] = {}
        self.nodes: dict[str, fx.Node] = {}
        self.passed: dict[fx.Node, Tensor] = {}
        self.makers: dict[str, Any] = {}
        self.readers = Counter(name for node in model.graph.node for name in node.input)
        self.readers.update(x.name for x in model.graph.output)
        self.source, batch = self._input(in_shape)
        images = torch.randn(batch, *in_shape, generator=torch.Generator().manual_seed(0))
        self.nodes[self.source], self.values[self.source] = self.made.input, images
        self.passed[self.made.input] = images

    def _initializer(self, given: Any) -> Tensor:
        try:
            return torch.from_numpy(self.onnx.numpy_helper.to_array(given).copy())
        except TypeError as error:  # of numbers that NumPy does not know itself
            raise InputError(
                f"--model {self.path}: {given.name}", got="numbers of a type without a torch.dtype",
                wanted="float32", do="export it again",
            ) from error  # fmt: skip

    def _input(self, in_shape: tuple[int, ...]) -> tuple[str, int]:
        """The name of the only input, and the batch for which it was exported."""
        inputs = [x for x in self.model.graph.input if x.name not in self.values]
        shapes = [[d.dim_value for d in x.type.tensor_type.shape.dim] for x in inputs]  # 0: any
        fits = len(inputs) == 1 and len(shapes[0]) == len(in_shape) + 1
        if not fits or any(n not in (0, m) for n, m in zip(shapes[0][1:], in_shape, strict=True)):
            raise InputError(
                f"--model {self.path}", got=f"inputs of {' and '.join(str(tuple(s[1:])) for s in shapes)}",
                wanted=f"one of {in_shape}, as the data has them", do="use other data or export it for these",
            )  # fmt: skip
        return inputs[0].name, shapes[0][0] or 1

    def run(self) -> nn.Module:
        """Operator by operator."""
        with torch.no_grad():
            ranks = {name: value.numel() for name, value in self.values.items() if value.ndim == 1}
            for node in turned(self.onnx, list(self.model.graph.node), ranks):
                self._read(node)
        outputs = [x.name for x in self.model.graph.output if x.name in self.nodes]
        if len(outputs) != 1:
            raise InputError(
                f"--model {self.path}", got=f"{len(outputs)} outputs of its input", wanted="one, the logits",
                do="export it with one output",
            )  # fmt: skip
        made = self.made.finish(self.nodes[outputs[0]], self.path.stem)
        compare(made, self.model, (self.source, outputs[0]), self.values, f"--model {self.path}")
        return made

    def _read(self, node: Any) -> None:
        try:
            names = [name for name in node.input if name]
            maps = [name for name in names if name in self.nodes]
            if not maps or node.op_type in (*SHAPES, "IsNaN"):
                self._constant(node)
            else:
                self.makers[node.output[0]] = node
                self._map(node, names, maps)
        except Unsuitable as error:
            raise self._refused(node, f"{node.op_type} with {error}") from error
        except InputError:
            raise
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise self._refused(node, f"{node.op_type} with other inputs or attributes") from error

    def _map(self, node: Any, names: list[str], maps: list[str]) -> None:
        """What depends on the input's values."""
        options = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        constants = {i: self.values[n] for i, n in enumerate(node.input) if n and n not in self.nodes}
        if node.op_type in ARITHMETIC:
            if not self._adds_bias(node, maps[0], constants):
                self._arithmetic(node)
        elif node.op_type == "Concat":
            self._concatenation(node, options["axis"])
        elif node.op_type == "MatMul" and len(maps) == len(names):
            self._call(node, torch.matmul, *(self.nodes[name] for name in names))
        elif node.op_type not in (*LAYERS, *REDUCES, *REARRANGES) or node.domain not in ("", "ai.onnx"):
            raise self._refused(node, f"the operator {node.op_type}")
        elif maps != [node.input[0]]:
            raise Unsuitable("maps in the place of constants")
        elif node.op_type in REDUCES:
            axes, keeps = options.get("axes") or constants[1].tolist(), options.get("keepdims", 1) == 1
            self._call(node, REDUCES[node.op_type], self.nodes[maps[0]], axes, keeps)
        elif node.op_type in REARRANGES or leaves_first_out(node, options, constants):
            self._rearranged(node, maps[0], constants, options)
        else:
            module = LAYERS[node.op_type](self.values[maps[0]], constants, options)
            for index in WEIGHTS.get(node.op_type, ()):
                self._own(*node.input[index : index + 1])
            made = self.made.layer(self._path(node, names), module, self.nodes[maps[0]])
            self._put(node, made, module.eval()(self.values[maps[0]]))

    def _rearranged(self, node: Any, source: str, constants: Constants, options: Options) -> None:
        value, made = self.values[source], self.nodes[source]
        if node.op_type == "Expand":
            _, *places = torch.broadcast_shapes(value.shape, constants[1].tolist())
            self._call(node, torch.broadcast_to, made, (-1, *places))
        elif node.op_type == "Squeeze":
            self._call(node, torch.squeeze, made, 0)
        elif node.op_type == "Transpose":
            self._call(node, torch.permute, made, tuple(options.get("perm", reversed(range(value.ndim)))))
        else:
            self._parts(node, source, constants, options)

    def _own(self, name: str = "") -> None:
        """Note whose weights they are.

        Exporters keep what is equal once, as the ones and zeros with which norms and biases begin: a row of
        one number is each layer's own.
        """
        value = self.values.get(name)
        if value is not None and value.min() != value.max():
            self.made.own(self.origins.get(name, name))

    def _put(self, node: Any, made: fx.Node, value: Tensor) -> None:
        self.nodes[node.output[0]], self.values[node.output[0]], self.passed[made] = made, value, value

    def _constant(self, node: Any) -> None:
        """What does not depend on the input's values."""
        from onnx.reference import ReferenceEvaluator  # type: ignore[import-not-found, unused-ignore]

        if node.op_type in DRAWN:
            raise InputError(
                self._subject(node), got=f"{node.op_type}, which draws at random",
                wanted="constants, and dropout that is a Dropout", do="export the network after its eval()",
            )  # fmt: skip
        given = {name: self.values[name].numpy() for name in node.input if name}
        for name, value in zip(node.output, ReferenceEvaluator(node).run(None, given), strict=True):
            self.values[name] = torch.as_tensor(np.array(value, order="C"))  # of a slice back, too
            if node.op_type in VIEWS:
                self.origins[name] = self.origins.get(node.input[0], node.input[0])

    def _call(self, node: Any, called: Callable[..., Any], *args: Any, output: int = 0) -> None:
        """A function of maps, constants and numbers, which the example passes as well."""
        made, values = self.made.function(called, *args), fx.map_arg(args, self.passed.__getitem__)
        name = node.output[output]
        self.nodes[name], self.values[name], self.makers[name] = made, called(*values), node
        self.passed[made] = self.values[name]

    def _concatenation(self, node: Any, axis: int) -> None:
        source = next(self.nodes[name] for name in node.input if name in self.nodes)
        maps = [self.nodes.get(name) or self._token(node, name, source) for name in node.input]
        self._call(node, torch.cat, maps, axis)

    def _token(self, node: Any, name: str, source: fx.Node) -> fx.Node:
        """A parameter beside a map, once for each image."""
        value, origin = self.values[name], self.origins.get(name, name)
        if not value.ndim or not torch.equal(value, value[:1].expand_as(value)) or origin not in self.own:
            raise self._refused(node, "Concat with a constant")
        self._own(name)
        value = value[:1]
        made = self.made.spread(self.made.tensor(origin, value, trained=True), source)
        self.passed[made] = value.expand(len(self.passed[source]), *value.shape[1:])
        return made

    def _arithmetic(self, node: Any) -> None:
        """What one cannot tell from a buffer in a file is a parameter: factors and summands of channels."""
        if node.op_type == "Where":
            self._choice(node)
            return
        parameters = node.op_type not in ("Sub", "Div")  # what images are normed by, where code does it
        operands = [self._operand(name, trained=parameters) for name in node.input]
        if node.op_type != "Sum":
            self._call(node, ARITHMETIC[node.op_type], *operands)
            return
        made, *others = sorted(operands, key=lambda x: isinstance(x, float))
        self._put(node, made, self.passed[made])
        for other in others:
            self._call(node, torch.add, self.nodes[node.output[0]], other)

    def _choice(self, node: Any) -> None:
        """Of a map or a number, by a mask; of one for all places, as of shares that are numbers."""
        condition, *branches = node.input
        if condition in self.nodes:
            raise Unsuitable("a condition of the input")
        holds = self.values[condition].bool()
        name = branches[0] if holds.all() else branches[1]
        if name in self.nodes and (holds.all() or not holds.any()):
            self._put(node, self.nodes[name], self.values[name])
            return
        mask = self.made.tensor(condition, holds, trained=False)
        self.passed[mask] = holds
        self._call(node, torch.where, mask, *(self._operand(x, trained=False) for x in branches))

    def _operand(self, name: str, *, trained: bool) -> Any:
        if name in self.nodes:
            return self.nodes[name]
        value, origin = self.values[name], self.origins.get(name, name)
        trained = trained and origin in self.own and float(value.min()) > MASKED
        if value.numel() == 1 and not (trained and value.ndim):  # numbers of the code have no dimensions
            return float(value)
        if trained:
            self._own(name)
        made = self.made.tensor(origin, value, trained=trained)
        self.passed[made] = value
        return made

    def _parts(self, node: Any, source: str, constants: Constants, options: Options) -> None:
        """Slices, and all parts of a division."""
        for output, index in enumerate(parts(node, self.values[source], constants, options)):
            self._call(node, operator.getitem, self.nodes[source], index, output=output)

    def _adds_bias(self, node: Any, source: str, constants: Mapping[int, Tensor]) -> bool:
        """A constant behind a product of matrices that nothing else reads is its bias."""
        before = self.makers.get(source)
        if node.op_type != "Add" or not constants or before is None or before.op_type != "MatMul":
            return False
        if self.nodes[source].op != "call_module":  # of two maps there is no bias
            return False
        layer = self.made.root.get_submodule(str(self.nodes[source].target))
        ((index, bias),) = constants.items()
        fits = isinstance(layer, nn.Linear) and bias.shape[-1:] == (bias.numel(),) == (layer.out_features,)
        if not fits or layer.bias is not None or self.readers[source] > 1:
            return False
        self._own(node.input[index])
        layer.bias = nn.Parameter(bias.flatten().float().clone())
        self._put(node, self.nodes[source], self.values[source] + bias)
        return True

    def _refused(self, node: Any, got: str) -> InputError:
        return InputError(
            self._subject(node), got=got,
            wanted=f"one of {', '.join(sorted({*LAYERS, *ARITHMETIC, *REDUCES, *REARRANGES}))}",
            do="replace it and export again",
        )  # fmt: skip

    def _subject(self, node: Any) -> str:
        return f"--model {self.path}: node {node.name or node.output[0]}"

    def _path(self, node: Any, names: list[str]) -> str:
        """Of a layer with weights that of its weights, else the name of what it makes."""
        weights = next((n for n in names if n.endswith(".weight") and n not in self.nodes), "")
        path = weights.removesuffix(".weight") or node.output[0].replace(".", "_").strip("/")
        return "".join(c if c.isalnum() or c in "._" else "_" for c in path)
