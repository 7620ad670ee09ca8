"""Functions of one map as the modules of torch.nn that do the same."""

import copy
import math
from typing import Any

import torch
from torch import fx, nn
from torch.fx.operator_schemas import normalize_function

from blockwise.layers.scaled import Scaled
from blockwise.models.editing import Shape, known, name_of
from blockwise.models.reducing import AVERAGES, REDUCES, reduced, windows
from blockwise.models.reshaping import Padding, Reshape
from devices.network.ops import of_module_class

SAME = ("contiguous", "clone", "float", "cpu", "cuda", "type_as")
"""All is in float32 on one device."""
RESHAPES = ("flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze")
INPUTS = ("input", "inplace", "training", "train", "return_indices")
"""Arguments of functions that the module of that name has not."""

TORCH: dict[str, type[nn.Module]] = {
    name.lower(): kind
    for name, kind in vars(nn).items()
    if isinstance(kind, type) and issubclass(kind, nn.Module)
}
"""Modules of torch.nn by the names of the functions that do the same, without underscores."""


def module_of(node: fx.Node) -> nn.Module | None:
    """What does the same as the call; None if no module of one map does."""
    called = name_of(node)
    source, made = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
    if called in SAME or _moved(node) or (called in RESHAPES and source == made):
        return nn.Identity()
    if called in RESHAPES and made == (math.prod(source or ()),):
        return nn.Flatten()
    if called in RESHAPES and source is not None and math.prod(source) == math.prod(made):
        return Reshape(made)
    if called in REDUCES and source is not None:
        return reduced(node, source)
    if called in ("clamp", "clip", "clamp_min"):
        return _clamp(node)
    if called == "pad":
        return _pad(node)
    if called.startswith("adaptive_max_pool"):
        return windows(source, made)
    kind = TORCH.get(called.replace("_", ""))
    readers = [source for source in node.all_input_nodes if source.meta["shape"] is not None]
    arguments = _arguments(node)
    if kind is nn.Hardtanh and arguments is not None:
        return between(arguments.get("min_val", -1), arguments.get("max_val", 1))
    if kind is None or of_module_class(kind) is None or len(readers) != 1 or arguments is None:
        return None
    return _made(kind, arguments, source, made)


def _moved(node: fx.Node) -> bool:
    """Whether ``x.to(...)`` asks for nothing but a device, the kind that all is of, or another's."""
    asked = known([*node.args[1:], *node.kwargs.values()])
    kinds = (torch.device, str, bool, torch.Tensor)
    return name_of(node) == "to" and all(x == torch.float32 or isinstance(x, kinds) for x in asked)


def _arguments(node: fx.Node) -> dict[str, Any] | None:
    """Of a function or a method, by name; None if their names are not known."""
    if len(node.args) == 1 and not node.kwargs:
        return {}
    if node.op == "call_method":
        return None
    target: Any = node.target
    try:
        found = normalize_function(target, node.args, dict(node.kwargs), normalize_to_only_use_kwargs=True)
    except RuntimeError:  # several functions of the name, which the types of arguments would tell apart
        return None
    return dict(found.kwargs) if found is not None else None


def _made(kind: type[nn.Module], arguments: dict[str, Any], source: Shape, made: Shape) -> nn.Module | None:
    """The module with the arguments of the call, which makes ``made`` of ``source``."""
    if arguments.get("training", arguments.get("train")) is False:
        return nn.Identity()
    given = {key: value for key, value in arguments.items() if key not in INPUTS and value != []}
    if any(isinstance(value, fx.Node) for value in given.values()):  # a window as large as the map
        averages = (nn.AvgPool1d, nn.AvgPool2d)
        whole = kind in averages and math.prod(made[1:]) == 1 and len(set(source[1:])) == 1
        return AVERAGES[len(source) - 2](1) if whole else None
    if given.pop("divisor_override", None):
        return None
    try:
        return kind(**given)
    except TypeError:  # an argument that the module does not have
        return None


def _clamp(node: fx.Node) -> nn.Module | None:
    """Between two constants, as arguments of a function."""
    low = node.kwargs.get("min", node.args[1] if len(node.args) > 1 else None)
    high = node.kwargs.get("max", node.args[2] if len(node.args) > 2 else None)
    return between(low, high)


def between(low: Any, high: Any) -> nn.Module | None:
    """What keeps values between two numbers, from 0 on a ReLU; None where they are none."""
    if low == 0 and high is None:
        return nn.ReLU()
    if isinstance(low, int | float) and high is None:
        return nn.Sequential(Scaled(shift=-float(low)), nn.ReLU(), Scaled(shift=float(low)))
    if isinstance(high, int | float) and low is None:
        turned = Scaled(-1.0), Scaled(shift=float(high))  # b - relu(b - x)
        return nn.Sequential(*turned, nn.ReLU(), *copy.deepcopy(turned))
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    return nn.ReLU6() if (low, high) == (0, 6) else nn.Hardtanh(float(low), float(high))


def _pad(node: fx.Node) -> nn.Module | None:
    """A border of zeros, or of what the map has at its rim."""
    given = _arguments(node) or {}
    amounts, mode = given.get("pad"), given.get("mode", "constant")
    if not isinstance(amounts, list | tuple) or not all(isinstance(n, int) for n in amounts):
        return None
    return Padding(tuple(amounts), mode) if not given.get("value") else None
