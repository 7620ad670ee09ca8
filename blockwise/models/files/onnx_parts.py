"""Slices, divisions and single places of maps, as indices."""

from typing import Any

from torch import Tensor

from blockwise.models.files.onnx_maker import Constants, Options, Unsuitable

SLICES = ("starts", "ends", "axes", "steps")
"""Inputs of a Slice behind the map; attributes up to opset 9."""


def parts(node: Any, x: Tensor, constants: Constants, options: Options) -> list[tuple[Any, ...]]:
    """The index of each output of a Slice, a Split or a Gather of one place."""

    def along(axis: int, part: Any) -> tuple[Any, ...]:
        return (*[slice(None)] * (axis % x.ndim), part)

    if node.op_type == "Gather":
        if 1 not in constants or constants[1].ndim:
            raise Unsuitable("several places")
        return [along(options.get("axis", 0), int(constants[1]))]
    if node.op_type == "Slice":
        return [_sliced(x, constants, options)]
    axis, count = options.get("axis", 0), len(node.output)
    size = x.shape[axis]
    given = constants[1].tolist() if 1 in constants else options.get("split", [-(-size // count)] * count)
    starts = [sum(given[:i]) for i in range(count)]
    return [along(axis, slice(start, start + n)) for start, n in zip(starts, given, strict=True)]


def _sliced(x: Tensor, constants: Constants, options: Options) -> tuple[slice, ...]:
    given = {name: constants[i].tolist() for i, name in enumerate(SLICES, 1) if i in constants}
    starts, ends = (given[name] if name in given else options[name] for name in ("starts", "ends"))
    axes = given["axes"] if "axes" in given else options.get("axes", range(len(starts)))
    steps = given["steps"] if "steps" in given else [1] * len(starts)
    if min(steps) < 1:
        raise Unsuitable("steps back")
    whole = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        whole[axis % x.ndim] = slice(start, end, step)
    return tuple(whole)


def leaves_first_out(node: Any, options: Options, constants: Constants) -> bool:
    """Whether the first dimension is left out, behind which the batch stands: as in one part of several.

    Which they are an attribute says in older graphs, an input in newer ones.
    """
    axes = options.get("axes", constants[1].tolist() if 1 in constants else [])
    return node.op_type == "Squeeze" and list(axes) == [0]
