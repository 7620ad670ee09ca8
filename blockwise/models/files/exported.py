"""``FILE.pt2``: a program of torch.export, whose operations of ATen become layers again.

It may have been exported for one size of batch and at rest: it is trained like any other.
"""

import operator
import sys
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.nn import functional as F

from blockwise.models.files.assembly import Assembly
from blockwise.models.files.aten import arguments, aten_name
from blockwise.models.files.core_aten import composed, is_decomposed
from blockwise.models.files.exported_attention import Region, regions
from blockwise.models.files.exported_functions import DROPPED, FUNCTIONS, NAMED, VALUES
from blockwise.models.files.exported_layers import LAYERS, Given
from blockwise.models.files.exported_values import compare
from blockwise.models.reshaping import Reshape
from blockwise.models.spread_out import SPREADS
from devices.errors import InputError

RESHAPES = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "_unsafe_view", "unflatten")
SAME = ("clone", "contiguous", "_to_copy", "to", "type_as", "lift_fresh_copy")
"""An alias is one as a whole slice; a decomposed ``detach`` is another, before which nothing learns."""


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
    """Maps have nodes; what does not depend on the input has values."""

    def __init__(self, program: ExportedProgram, path: Path, in_shape: tuple[int, ...]) -> None:
        self.program, self.path, self.made = program, path, Assembly(f"--model {path}")
        self.graph = composed(program)
        self.same = SAME if is_decomposed(program) else (*SAME, "alias")
        signature = program.graph_signature
        names = {
            **signature.inputs_to_parameters, **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }  # fmt: skip
        values = {**program.state_dict, **program.constants}
        self.tensors: dict[str, tuple[str, Tensor]] = {
            placeholder: (name, values[name].detach()) for placeholder, name in names.items()
        }
        self.parameters = set(signature.inputs_to_parameters)
        self.input = self._only_input(in_shape)
        self.known: dict[fx.Node, fx.Node] = {self.input: self.made.input}

    def _only_input(self, in_shape: tuple[int, ...]) -> fx.Node:
        """Beside numbers and flags that nothing reads, as the program was exported for their values."""
        given = [n for n in self.graph.nodes if n.op == "placeholder" and n.name not in self.tensors]
        inputs = [n for n in given if n.users or isinstance(n.meta.get("val"), Tensor)]
        shapes = [tuple(getattr(n.meta.get("val"), "shape", ()))[1:] for n in inputs]
        if shapes != [in_shape]:
            raise InputError(
                f"--model {self.path}", got=f"inputs of {' and '.join(map(str, shapes))}",
                wanted=f"one of {in_shape}, as the data has them", do="use other data or export it for these",
            )  # fmt: skip
        (source,) = inputs
        return cast(fx.Node, source)

    def run(self) -> nn.Module:
        """Node by node; what only counts batches, or asserts, is left out."""
        inside = {node: region for region in regions(self.graph) for node in region.nodes}
        for node in self.graph.nodes:
            if node.op != "call_function" or not isinstance(node.meta.get("val"), Tensor | list | tuple):
                continue
            region = inside.get(node)
            try:
                if region is not None:
                    self._inside(region, node)
                elif any(source in self.known for source in node.all_input_nodes):
                    self.known[node] = self._converted(node)
                else:
                    self._constant(node)
            except InputError:
                raise
            except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
                raise self._refused(node, f"the operation {node.target} with other arguments") from error
        made = self.made.finish(self._only_output(), self.path.stem)
        compare(made, self.program, self.input, f"--model {self.path}")
        return made

    def _inside(self, region: Region, node: fx.Node) -> None:
        """Of a module's operations the last is the module; masks are computed."""
        if node is region.made:
            self.known[node] = self._attention(region)
        elif not any(x in self.known or x.name in self.parameters for x in node.all_input_nodes):
            self._constant(node)

    def _attention(self, region: Region) -> fx.Node:
        """The module, in the place of its operations."""
        tensors = {name: self.tensors[x.name] for name, x in region.parameters.items()}
        for path, _ in tensors.values():
            self.made.own(path)
        mask = None if region.mask is None else self.tensors[region.mask.name][1]
        module = region.module({name: value for name, (_, value) in tensors.items()}, mask)
        return self.made.layer(region.path, module, self.known[region.source])

    def _only_output(self) -> fx.Node:
        (outputs,) = next(node for node in self.graph.nodes if node.op == "output").args
        made = [self.known[node] for node in outputs if node in self.known]
        if len(outputs) != 1 or not made:
            raise InputError(
                f"--model {self.path}", got=f"{len(outputs)} outputs, {len(made)} of its input",
                wanted="one, the logits", do="export it with one output",
            )  # fmt: skip
        return made[0]

    def _constant(self, node: fx.Node) -> None:
        """A view of a parameter is the parameter; what is computed of buffers, and not drawn, is constant."""
        sources, target = node.all_input_nodes, cast(Any, node.target)
        trained = next((x.name for x in sources if x.name in self.parameters), None)
        if trained is not None and aten_name(node) not in (*RESHAPES, *self.same):
            path, value = self.tensors[trained]
            if aten_name(node) not in (*SPREADS, "repeat") or (1, *_places(node)) != tuple(value.shape):
                raise self._refused(node, f"the operation {target} of the parameter {path}")
            self.tensors[node.name] = self.tensors[trained]  # once for each image
            self.parameters.add(node.name)
            return
        drawn = torch.Tag.nondeterministic_seeded in target.tags
        counts = target._schema.is_mutable and any(x.op == "placeholder" for x in sources[:1])
        if drawn or counts or any(x.name not in self.tensors for x in sources):
            return
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda x: self.tensors[x.name][1])
        value = target(*args, **kwargs)
        if trained is None:
            self.tensors[node.name] = node.name, value
            return
        self._check_floating(node)
        self.tensors[node.name] = self.tensors[trained][0], value
        self.parameters.add(node.name)

    def _converted(self, node: fx.Node) -> fx.Node:
        target: Any = node.target
        if target is operator.getitem:
            return self._result(node)
        name = aten_name(node)
        given = arguments(node)
        source = next(x for x in node.all_input_nodes if x in self.known)
        if name in LAYERS:
            path, module = self._layer(node, name, given)
            return self.made.layer(path, module, self.known[source])
        if name in self.same or (name == "slice" and _is_whole(given)) or _only_strides(node, name, source):
            self._check_floating(node)
            return self.known[source]
        if name in SPREADS and source.meta["val"].ndim == node.meta["val"].ndim:
            return self.made.function(torch.broadcast_to, self.known[source], (-1, *_places(node)))
        if name in RESHAPES and source.meta["val"].shape[0] == node.meta["val"].shape[0]:
            return self.made.layer(node.name, Reshape(_places(node)), self.known[source])
        if name == "slice":
            part = slice(given.get("start"), given.get("end"), given.get("step"))
            index = (*[slice(None)] * (given.get("dim", 0) % source.meta["val"].ndim), part)
            return self.made.function(operator.getitem, self.known[source], index)
        if name not in FUNCTIONS and name not in VALUES:
            raise self._refused(node, f"the operation {target.name()}")
        return self._function(node, name, given)

    def _result(self, node: fx.Node) -> fx.Node:
        """One of several: of a divided map, or the values of maxima."""
        source, index = cast(tuple[fx.Node, int], node.args)
        if aten_name(source) not in VALUES:
            return self.made.function(operator.getitem, self.known[source], index)
        if index and node.users:
            raise self._refused(node, f"the places of {aten_name(source)}")
        return self.known[source]

    def _check_floating(self, node: fx.Node) -> None:
        """Raise InputError for a cast that rounds: there is no such layer."""
        dtype = node.meta["val"].dtype
        if not dtype.is_floating_point:
            raise self._refused(node, f"a cast to {str(dtype).removeprefix('torch.')}")

    def _function(self, node: fx.Node, name: str, given: Given) -> fx.Node:
        first, *others = (fx.map_arg(x, lambda n: self._operand(node, n)) for x in given.values())
        options = {
            key: value for key, value in zip(list(given)[1:], others, strict=True)
            if key not in DROPPED and value not in ([], None)
        }  # fmt: skip
        if name == "hardtanh" and (options.get("min_val"), options.get("max_val")) == (0, 6):
            return self.made.function(F.relu6, first)
        if name == "mT":
            return self.made.function(torch.transpose, first, -2, -1)
        others = [options.pop(key) for key in list(options) if key not in NAMED.get(name, options)]
        return self.made.function({**FUNCTIONS, **VALUES}[name], first, *others, **options)

    def _operand(self, node: fx.Node, operand: fx.Node) -> fx.Node:
        """A map, or what stands in the program beside layers."""
        if operand in self.known:
            return self.known[operand]
        if operand.name not in self.tensors:
            raise self._refused(node, f"the operation {node.target} with {operand.name}, which is computed")
        path, value = self.tensors[operand.name]
        trained = operand.name in self.parameters
        if trained:
            self.made.own(path)
        made = self.made.tensor(path, value, trained=trained)
        if aten_name(node) != "cat":
            return made
        return self.made.spread(made, next(self.known[x] for x in node.all_input_nodes if x in self.known))

    def _layer(self, node: fx.Node, name: str, given: Given) -> tuple[str, nn.Module]:
        """The path in the user's module, and a module of torch.nn with the weights."""
        weights = {key: x for key, x in given.items() if key not in ("input", "self")}
        others = {key: x for key, x in weights.items() if isinstance(x, fx.Node)}
        for key, x in others.items():
            if x.name not in self.tensors or (key in ("weight", "bias") and x.name not in self.parameters):
                raise self._refused(node, f"the operation {node.target} whose {key} is no parameter")
        tensors = {key: self.tensors[x.name] for key, x in others.items()}
        options = {key: value for key, value in given.items() if not isinstance(value, fx.Node)}
        shape = tuple(node.meta["val"].shape)
        module = LAYERS[name](options, {key: value for key, (_, value) in tensors.items()}, shape)
        if dict(module.named_parameters()).keys() - tensors.keys():
            raise self._refused(node, f"the operation {node.target} with a scale and no shift")
        with torch.no_grad():
            for key, (path, value) in tensors.items():
                getattr(module, key).copy_(value)
                if others[key].name in self.parameters:
                    self.made.own(path)
        where, _ = next(iter(tensors.values()), (f"{node.name}.", None))
        return where.rpartition(".")[0], module

    def _refused(self, node: fx.Node, got: str) -> InputError:
        place = next(iter(node.meta.get("nn_module_stack", {}).values()), (node.name, None))
        stack = [*node.meta.get("nn_module_stack", {}).values()]
        where = (stack[-1] if stack else place)[0] or node.name
        names, decomposed = ", ".join((*LAYERS, *FUNCTIONS, *VALUES, *RESHAPES)), is_decomposed(self.program)
        do = "save it as it was exported, without run_decompositions(), or" if decomposed else ""
        return InputError(
            f"--model {self.path}: {where}", got=got, wanted=f"one of {names}",
            do=f"{do} replace it and export again".strip(),
        )  # fmt: skip


def _is_whole(given: Given) -> bool:
    """Whether a slice is all of a dimension: ``x[:, 1:3]`` begins with one of the batch."""
    start, end, step = given.get("start"), given.get("end"), given.get("step", 1)
    return not start and end in (None, sys.maxsize) and step == 1


def _places(node: fx.Node) -> tuple[int, ...]:
    """The shape of what is made, without the batch."""
    return tuple(map(int, node.meta["val"].shape[1:]))


def _only_strides(node: fx.Node, name: str, source: fx.Node) -> bool:
    """Whether all places of a map stay; those that would not stay where they are have other values."""
    return name == "as_strided" and bool(node.meta["val"].shape == source.meta["val"].shape)
