"""What every quantization method provides: a module that maps floats to the floats its codes mean."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Role = Literal["weight", "activation"]
ROLES: tuple[Role, ...] = ("weight", "activation")


class Quantizer(nn.Module, ABC):
    """Fake-quantizer: float tensor in, tensor of the same shape on the quantizer's levels out.

    Rounding passes gradients by the straight-through estimator of the method. A quantizer whose
    levels depend on data sets itself up on the first tensor it sees, or when told to by
    :meth:`initialise`.
    """

    def __init__(self, bits: int, role: Role) -> None:
        super().__init__()
        self.bits, self.role = bits, role

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Quantize ``x`` of any shape."""

    def initialise(self, x: Tensor) -> None:
        """Choose the levels from the values of ``x``; nothing to do for fixed levels."""

    def codes(self, x: Tensor) -> Tensor:
        """The integer codes (int8 or uint8 range, as int64) that ``forward`` gives meaning to."""
        raise TypeError(f"{type(self).__name__} has no codes")


@dataclass(frozen=True)
class Method:
    """A quantization method as a catalogue lists it."""

    name: str
    description: str
    source: str
    weight: type[Quantizer]
    activation: type[Quantizer]
    edge_bits: int  # bits of the first and last layer in the method's own convention
    learned_step: bool  # whether it trains a step size


class RoundSTE(torch.autograd.Function):
    """Round half to even; the gradient passes unchanged (Bengio et al. 2013)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        return grads[0]


def round_ste(x: Tensor) -> Tensor:
    """:class:`RoundSTE` as a function."""
    return RoundSTE.apply(x)  # type: ignore[no-any-return]
