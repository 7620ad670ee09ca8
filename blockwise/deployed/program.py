"""Steps performed: from images as bytes to class scores."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from blockwise.deployed.steps import OUTSIDE, Step
from devices.errors import InputError
from devices.network import IMAGES

Function = Callable[..., Tensor]


def shift(x: Tensor, bits: int) -> Tensor:
    """Each image halved until its largest magnitude has ``bits`` bits, by a whole number of halvings.

    ``x`` are whole numbers, of which frexp tells the bits.
    """
    largest = x.abs().amax(tuple(range(1, x.ndim)), keepdim=True)
    return x / 2 ** (torch.frexp(largest).exponent - bits).clamp_min(0)


OWN: Mapping[str, Function] = {
    "cat": lambda *parts, dim: torch.cat(parts, dim),
    "normalise": lambda x, scale, shift: x * scale + shift,
    "affine": lambda x, scale, shift: torch.addcmul(shift, x, scale),
    "quantize": lambda x, scale, bits, low, high: (x / scale).clamp(low, high).round() * scale,
    "levels": lambda x, thresholds, levels, bits: levels[torch.bucketize(x, thresholds, right=True)],
    "shift": shift,
    "slice": lambda x, starts, stops, steps: x[(slice(None), *map(slice, starts, stops, steps))],
    "nearest": lambda x: x.sign() * (x.abs() + 0.5).floor(),
}
"""What neither torch.nn.functional nor torch has, as docs/exported-file.md says."""


class Program:
    """``steps`` with their ``tensors``, performed in ``dtype``."""

    def __init__(
        self, steps: Sequence[Step], tensors: Mapping[str, Tensor], dtype: torch.dtype,
        operations: Mapping[str, Function] | None = None,
    ) -> None:  # fmt: skip
        """``operations`` are those from outside. Raises InputError for one that is not known."""
        self.steps, self.dtype = tuple(steps), dtype
        self.tensors = {name: t.to(self.dtype) for name, t in tensors.items()}
        self.functions = [_function(step, operations or {}) for step in self.steps]
        self.readers = Counter(name for step in self.steps for name in set(step.inputs))

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores (B, K) of uint8 images (B, *in_shape). What nothing reads any more is let go."""
        values: dict[str, Tensor] = {IMAGES: images.to(self.dtype)}
        left = Counter(self.readers)
        with torch.inference_mode():
            for step, function in zip(self.steps, self.functions, strict=True):
                inputs = [values[name] for name in step.inputs]
                constants: dict[str, Any] = {k: self.tensors[name] for k, name in step.tensors.items()}
                values[step.name] = function(*inputs, **constants, **step.options)
                for name in set(step.inputs):
                    left[name] -= 1
                    if not left[name]:
                        del values[name]
        return values[self.steps[-1].name]


def _function(step: Step, operations: Mapping[str, Function]) -> Function:
    own = operations.get(step.op.removeprefix(OUTSIDE)) if step.op.startswith(OUTSIDE) else OWN.get(step.op)
    function: Function | None = own or getattr(F, step.op, None) or getattr(torch, step.op, None)
    if function is None:
        name = step.op.removeprefix(OUTSIDE)
        raise InputError(
            f"step {step.name}", got=f"the operation {name!r}", wanted="one that is built in",
            do=f"give it as operations={{{name!r}: FUNCTION}}",
        )  # fmt: skip
    return function
