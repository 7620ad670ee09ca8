"""Sums and products with what does not depend on the input: numbers, buffers, parameters of channels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from blockwise.layers.norms import ConstantNorm
from blockwise.layers.scaled import ChannelScale, Scaled
from blockwise.models.editing import Editing, argument, known, name_of, stood_at

ADDS = ("add", "iadd", "add_")
TAKES = ("sub", "isub", "sub_", "subtract", "rsub")
MULTIPLIES = ("mul", "imul", "mul_", "multiply")
DIVIDES = ("div", "div_", "divide", "truediv", "itruediv", "true_divide")
NEGATES = ("neg", "neg_", "negative")
ARITHMETIC = (*ADDS, *TAKES, *MULTIPLIES, *DIVIDES, *NEGATES)


@dataclass(frozen=True)
class Constant:
    """A number, or values (C,) of channels; ``trained`` if they are a parameter."""

    value: Tensor
    trained: bool = False
    parameter: str = ""  # its path
    sides: tuple[int, ...] = ()  # in which it stands beside the map, if it is none for each channel

    @property
    def number(self) -> float | None:
        """For all channels."""
        return float(self.value) if self.value.numel() == 1 and not self.trained else None


def with_constant(editing: Editing, node: fx.Node) -> bool:
    """Make ``node``, of one map and constants, modules of one map; False if it has another form.

    Raises InputError for a constant that is none of a channel, and a trained one that stands below a line.
    """
    called = name_of(node)
    left, right = argument(node, "input", 0), argument(node, "other", 1)
    if called in NEGATES:
        _put(editing, node, left, Constant(torch.tensor(-1.0)), None)
        return True
    if called == "rsub":
        left, right = right, left
    if called in (*ADDS, *MULTIPLIES) and left is right and called in ADDS:
        _put(editing, node, left, Constant(torch.tensor(2.0)), None)
        return True
    maps = [x for x in (left, right) if is_map(x)]
    if len(maps) != 1:
        return False
    (source,) = maps
    constant = constant_beside(editing, node, right if left is source else left, source)
    alpha = float(known(node.kwargs.get("alpha", 1)))
    factor, shift = _pair(called, constant, alpha, turned=left is not source)
    if factor is None and shift is None:
        raise editing.refused(node, f"{called!r} of {_refused_form(called, constant)}")
    _put(editing, node, source, factor, shift)
    return True


def _refused_form(called: str, constant: Constant) -> str:
    if not constant.trained:
        return "a constant by a map"
    divides = called in DIVIDES
    return (
        f"a map by the parameter {constant.parameter}"
        if divides
        else "a trained constant the other way round"
    )


def _pair(
    called: str, constant: Constant, alpha: float, *, turned: bool
) -> tuple[Constant | None, Constant | None]:
    """Factor and summand of the map; ``turned`` where the constant stands first."""
    minus = Constant(torch.tensor(-1.0))
    if called in MULTIPLIES:
        return constant, None
    if called in DIVIDES:
        usable = not turned and not constant.trained
        return (replace(constant, value=1 / constant.value) if usable else None), None
    if called in ADDS:
        return (Constant(torch.tensor(alpha)) if turned and alpha != 1 else None), _times(
            constant, 1.0 if turned else alpha
        )
    if turned:  # constant - alpha x
        return (minus if alpha == 1 else Constant(torch.tensor(-alpha))), constant
    return None, None if constant.trained else _times(constant, -alpha)


def _times(constant: Constant, factor: float) -> Constant | None:
    if factor == 1:
        return constant
    return None if constant.trained else replace(constant, value=constant.value * factor)


def _put(
    editing: Editing, node: fx.Node, source: fx.Node, factor: Constant | None, shift: Constant | None
) -> None:
    """One module for the factor and one for the summand."""
    path = editing.path_of(node, name_of(node))
    named = next((x.parameter for x in (factor, shift) if x is not None and x.parameter), "")
    path = f"{named}_{name_of(node)}" if named else path
    shape = source.meta["shape"]
    made = [*_factors(factor), *_summands(shift)]
    *early, last = made or [nn.Identity()]
    for module in early:
        source = editing.insert(node, module, path, source, shape)
    editing.put(node, last, path, source)


def _factors(factor: Constant | None) -> list[nn.Module]:
    if factor is None or factor.number == 1:
        return []
    if factor.number is not None:
        return [Scaled(factor.number)]
    if factor.trained:
        return [stood_at(ChannelScale(factor.value, sides=factor.sides), weight=factor.parameter)]
    return [fixed(factor.value, torch.zeros_like(factor.value), factor.sides)]


def _summands(shift: Constant | None) -> list[nn.Module]:
    if shift is None or shift.number == 0:
        return []
    if shift.number is not None:
        return [Scaled(shift=shift.number)]
    if shift.trained:
        return [stood_at(ChannelScale(bias=shift.value, sides=shift.sides), bias=shift.parameter)]
    return [fixed(torch.ones_like(shift.value), shift.value, shift.sides)]


def fixed(scale: Tensor, shift: Tensor, sides: tuple[int, ...]) -> ConstantNorm:
    """Values of each channel, or of what has ``sides``."""
    norm = ConstantNorm(len(scale), sides)
    norm.scale.copy_(scale.detach())
    norm.shift.copy_(shift.detach())
    norm.ready.fill_(True)
    return norm


def is_map(value: Any) -> bool:
    """Whether an operand is a node of a map, no constant."""
    return isinstance(value, fx.Node) and value.meta["shape"] is not None


def constant_beside(editing: Editing, node: fx.Node, value: Any, source: fx.Node) -> Constant:
    """The other operand. Raises InputError if it is none of a channel of ``source``."""
    if not isinstance(value, fx.Node):
        return Constant(torch.tensor(float(value)))
    found = torch.as_tensor(value.meta["value"]).detach()
    parameter = parameter_of(value)
    trained = parameter is not None
    if found.numel() == 1 and not trained and not found.is_meta:
        return Constant(found.float().reshape(()))
    shape, given = source.meta["shape"], tuple(found.shape)
    found = found.float().reshape([1] * (len(shape) + 1 - found.ndim) + [*found.shape])
    several = len(found) > 1 and not (trained or found.is_meta)
    if several and torch.equal(found, found[:1].expand_as(found)):
        found = found[:1]  # the same for each image
    if node.meta.get("last"):  # of which none but those for each channel are left
        found = found.movedim(-1, 1)
    batch, *sides = found.shape
    by_channel = sides == [shape[0], *[1] * (len(shape) - 1)]
    what = f"the parameter {parameter} outside a layer" if trained else "a constant"
    fits = len(sides) == len(shape) and all(side in (1, n) for side, n in zip(sides, shape, strict=True))
    if batch != 1 or not fits:
        raise editing.refused(node, f"{what} of {given} beside a map of {shape}")
    if trained and found.numel() != count_of(value):
        raise editing.refused(node, f"a function of the parameter {parameter}")
    return Constant(found.reshape(-1), trained, parameter or "", () if by_channel else tuple(sides))


def parameter_of(node: fx.Node) -> str | None:
    """The parameter that a constant is made of; None if it is made of none."""
    if node.op == "get_attr":
        return str(node.target) if node.meta["trained"] else None
    return next((found for x in node.all_input_nodes if (found := parameter_of(x))), None)


RESHAPES = ("view", "reshape", "unsqueeze", "squeeze", "flatten", "getitem", "view_as", "contiguous")
"""Of a parameter: the same values under another shape."""


def count_of(node: fx.Node, through: Sequence[str] = RESHAPES) -> int:
    """Elements of the parameter, if nothing but functions of these names is done with it; else none."""
    if node.op == "get_attr":
        return int(node.meta["value"].numel())
    return count_of(node.all_input_nodes[0], through) if name_of(node) in through else 0
