"""What every quantization method provides: a module that maps floats to the floats its codes mean."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blockwise.quant.layout import gradients_laid_out
from devices.network import Residual
from devices.network.bits import FIXED_LEVELS, QuantizerMemory

Role = Literal["weight", "activation"]
ROLES: tuple[Role, ...] = ("weight", "activation")

LevelSet = Literal["float", "linear", "logarithmic", "centroids", "noise"]

FLOAT_BITS = 32
BITS = (*range(1, 9), 16)
"""Widths of codes; microcontrollers store them packed up to 8 bits, and as 16-bit integers."""


@dataclass(frozen=True)
class ParameterRule:
    """How the optimizer treats a parameter: its learning rate relative to the others', its decay.

    A ``size``, as that of a step or a range, moves by shares of itself, so that it keeps its sign
    (blockwise/training/sizes.py).
    """

    lr_scale: float = 1.0
    weight_decay: float = 0.0
    size: bool = False


SIZE = ParameterRule(size=True)
"""Of a step, a scale, or the end of a range from zero or around it."""


class Quantizer(nn.Module, ABC):
    """Fake-quantizer: float tensor in, tensor of the same shape on the quantizer's levels out.

    ``shape`` is that of the weights, () for activations, whose shape is not known beforehand.
    Rounding passes gradients by the straight-through estimator of the method; that of ``x`` is laid out
    in memory like ``x``, whatever the layout of the one that comes, and has the same bits. A quantizer
    whose levels depend on data sets itself up on the first tensor it sees, or when told to by
    :meth:`initialise`. At 32 bits, a stage of some trainings, it passes floats: weights as they are,
    activations through :meth:`float_form`, mostly a ReLU.
    """

    needs_data: ClassVar[bool] = False  # whether the levels start from the first tensor
    rules: ClassVar[Mapping[str, ParameterRule]] = {}  # of its own parameters; Rule() for those not named
    symmetric: ClassVar[bool] = False  # whether -l is a level wherever l is
    idempotent: ClassVar[bool] = True  # whether levels are quantized to themselves
    elementwise: ClassVar[bool] = True  # whether elements are quantized one by one, by one rule per tensor
    after_training: ClassVar[bool] = False  # whether training is in float and levels are chosen after it
    follows: ClassVar[bool] = False  # whether levels of activations move with every batch in training
    weight_rule: ClassVar[ParameterRule | None] = None  # of the latent weights, if the method wants its own
    ready: Tensor

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.role, self.shape = role, tuple(shape)
        self.target_bits = bits
        self.sign_bits = 0  # of the codes, beside those that are its own
        self.tracks = True  # False in a repeated forward pass: what follows the data stays as it is
        if self.needs_data:
            self.register_buffer("ready", torch.zeros((), dtype=torch.bool))
        self._is_ready = not self.needs_data  # the buffer as a Python value: no look at a tensor
        self.configure(bits)

    def prepare_compile(self) -> None:
        """Called before torch.compile sees the network."""

    def configure(self, bits: int) -> None:
        """Take ``bits`` and derive from them what follows; also called when a training goes to fewer."""
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        """Quantize ``x`` of any shape; activations have the batch first."""
        if self.bits == FLOAT_BITS or not x.numel():
            return x if self.role == "weight" else self.float_form(x)
        if x.is_meta:
            return x  # only shapes are asked for
        if not self._is_ready:
            self.set_up(x)
        return gradients_laid_out(self.quantize(x))

    @staticmethod
    def float_form(x: Tensor) -> Tensor:
        """Activations that are not quantized, same shape."""
        return F.relu(x)

    @abstractmethod
    def quantize(self, x: Tensor) -> Tensor:
        """The value of ``x`` on the levels, with the method's gradient."""

    def set_up(self, x: Tensor) -> None:
        """:meth:`initialise`, once."""
        with torch.no_grad():
            self.initialise(x.detach())
            self.ready.fill_(True)
        self._is_ready = True

    def initialise(self, x: Tensor) -> None:
        """Choose the levels from the values of ``x``; nothing to do for fixed levels."""

    def set_bits(self, bits: int) -> None:
        """Go on with another width; levels that depend on data are set up again."""
        if bits == self.bits:
            return
        self.configure(bits)
        if self.needs_data:
            self.ready.fill_(False)
            self._is_ready = False

    def enter(self, stage: int, of: int) -> None:
        """Training enters stage ``stage`` (from 0) of ``of``; most methods have one."""

    def constrain(self, latent: Tensor) -> None:
        """After an optimizer step: bring the latent weights and own parameters back into range."""

    @property
    def counts_bytes(self) -> bool:
        """Whether values are :attr:`unit` times whole numbers, 0 .. 255 of activations, of weights int8."""
        return False

    @property
    def unit(self) -> Tensor:
        """What those are counted in, (), without a gradient."""
        raise TypeError(f"{type(self).__name__} has no unit")

    # ------------------------------------------------------------- deployment

    def codes(self, x: Tensor) -> Tensor:
        """The integer codes 0 .. 2^bits - 1 that ``forward`` gives meaning to, int64."""
        raise TypeError(f"{type(self).__name__} has no codes")

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The float32 values beside the codes of the weights ``x`` that :meth:`decode` needs."""
        raise TypeError(f"{type(self).__name__} has no codes")

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The weights of ``shape`` that codes and constants stand for: those of ``forward`` to the bit."""
        raise TypeError(f"{cls.__name__} has no codes")

    # --------------------------------------------------------------- on a board

    def board_codes(self, x: Tensor) -> Tensor:
        """The codes of this pass, in training as well: those of :meth:`codes` unless levels have moved."""
        return self.codes(x)

    def decode_activations(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """The floats that activation codes mean; ``levels`` are what whoever reads them needs, flat."""
        raise TypeError(f"{type(self).__name__} does not say what its activation codes mean")

    def gradient_of_codes(self, gradient: Tensor, mask: Tensor, codes: Tensor | None) -> Tensor:
        """The gradient of the parameters, flat, where the values before rounding are gone."""
        raise TypeError(f"{type(self).__name__} needs the values before rounding")

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """What one such quantizer holds beside codes, in training and deployed."""
        return FIXED_LEVELS

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if self.needs_data:
            self._is_ready = bool(self.ready)


@dataclass(frozen=True)
class Method:
    """A quantization method as the catalogue lists it.

    A method that has only weights or only activations names the ``partner`` for the other; one whose
    first and last layers take another method's codes names that as ``edge_method``. ``edge_bits`` is
    their least width in the paper's convention: 32 leaves them in float, 1 treats them like the rest.
    ``stages`` are the shares of a training's epochs at which quantizers enter their next stage, and the
    learning rate starts its schedule again.
    ``residual`` is what the skip paths of the authors' own residual networks hold beside activations of
    this method: floats, of which every convolution quantizes its own copy, or the codes it reads.
    """

    name: str
    description: str
    source: str
    levels: LevelSet
    weight: type[Quantizer] | None
    activation: type[Quantizer] | None
    edge_bits: int
    weight_bits: tuple[int, ...] = BITS
    activation_bits: tuple[int, ...] = BITS
    partner: str = ""
    edge_method: str = ""
    stages: tuple[float, ...] = (0.0,)
    residual: Residual = "float"

    @property
    def after_training(self) -> bool:
        """Whether it trains in float, to be quantized with a calibration set in the end."""
        return any(kind.after_training for kind in (self.weight, self.activation) if kind)

    def quantizer(self, role: Role) -> type[Quantizer] | None:
        """The quantizer of weights or of activations; None if the method has none."""
        return self.weight if role == "weight" else self.activation

    def bits(self, role: Role) -> tuple[int, ...]:
        """The widths that the method has for weights or for activations."""
        return self.weight_bits if role == "weight" else self.activation_bits


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


def signs(x: Tensor) -> Tensor:
    """-1 or +1, with sign(0) = +1, in the type of ``x``."""
    return x.sign().add_(0.5).sign_()  # thrice as fast as a choice by a comparison
