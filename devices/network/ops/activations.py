"""Activations: those that end in codes, and those that do not."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.errors import InputError
from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al. 2017 (arXiv 1706.02515), equation 14, with the digits that PyTorch has."""


@dataclass(frozen=True)
class ReLU(Op):
    """x between ``low`` and ``high``: max(x, 0) by default, 0 and 6 for a ReLU6."""

    low: float = 0.0
    high: float | None = None

    kind = "relu"
    modules = ("ReLU", "ReLU6")
    functions = ("relu", "relu6")
    makes_codes = True
    both_signs = False
    elementwise = True
    overwritable = True
    costs = MappingProxyType(
        {
            # Whether a code at the end of its range was clipped cannot be told from the code.
            "device": Row(width="codes", saves=("mask",), gradient="in_place"),
            # A sum may be positive and its code zero: the code does not tell the mask.
            "integer": Row(width="codes", saves=("mask",), gradient="in_place"),
            "pytorch": Row(saves=("output",)),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """A module of torch.nn with its limits; of functions, relu6 has 6."""
        if call.called == "relu6":
            return cls(high=6.0)
        return cls(call.option("min_val", 1 << 10, 0.0), call.option("max_val", 1 << 10, None))

    @property
    def bounded(self) -> bool:
        """Whether it clips at the top: then its own limit and that of a quantizer are two."""
        return self.high is not None


@dataclass(frozen=True)
class LeakyReLU(Op):
    """x, or ``slope`` times x below zero."""

    slope: float = 0.01

    kind = "leaky_relu"
    modules = ("LeakyReLU",)
    functions = ("leaky_relu",)
    elementwise = True
    overwritable = True
    costs = MappingProxyType(
        {
            # Its output tells the sign, but its reader may keep another map, or none.
            "device": Row(saves=("sign",), gradient="in_place"),
            "pytorch": Row(saves=("input",)),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """With its slope."""
        return cls(call.option("negative_slope", 1, cls.slope))


@dataclass(frozen=True)
class Swish(Op):
    """x sigmoid(x) (SiLU), or ``hard``: x min(max(x + 3, 0), 6) / 6."""

    hard: bool = False

    kind = "swish"
    modules = ("SiLU", "Hardswish")
    functions = ("silu", "hardswish")
    makes_codes = True
    both_signs = False  # but for values above -0.38, which codes read as 0
    elementwise = True
    costs = MappingProxyType(
        {
            # The derivative of a smooth activation is read off its argument.
            "device": Row(width="codes", saves=("input",), gradient="in_place"),
            "pytorch": Row(saves=("input",)),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """By the name of what is called."""
        return cls(call.called.lower().startswith("hard"))


@dataclass(frozen=True)
class GELU(Op):
    """x Phi(x), Phi the normal distribution function, or ``tanh``: as the tanh formula has it.

    Hendrycks & Gimpel 2016 (arXiv 1606.08415).
    """

    tanh: bool = False

    kind = "gelu"
    modules = ("GELU",)
    functions = ("gelu",)
    makes_codes = True
    both_signs = False  # but for values above -0.18, which codes read as 0
    elementwise = True
    costs = Swish.costs

    @classmethod
    def of(cls, call: Call) -> Self:
        """By the formula that is asked for."""
        return cls(call.option("approximate", 1 << 10, "none") == "tanh")


@dataclass(frozen=True)
class Mish(Op):
    """x tanh(log(1 + exp(x))). Misra 2020 (arXiv 1908.08681)."""

    kind = "mish"
    modules = ("Mish",)
    functions = ("mish",)
    makes_codes = True
    both_signs = False  # but for values above -0.31, which codes read as 0
    elementwise = True
    costs = Swish.costs


@dataclass(frozen=True)
class Tanh(Op):
    """tanh(x), or ``hard``: x between ``low`` and ``high``."""

    hard: bool = False
    low: float = -1.0
    high: float = 1.0

    kind = "tanh"
    modules = ("Tanh", "Hardtanh")
    functions = ("tanh", "hardtanh")
    elementwise = True
    costs = MappingProxyType(
        {
            # Its output tells the derivative, and whether it was clipped.
            "device": Row(saves=("output",), gradient="in_place"),
            "pytorch": Row(saves=("output",)),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """By the name of what is called, with its limits."""
        if not call.called.lower().startswith("hard"):
            return cls()
        return cls(True, call.option("min_val", 1, cls.low), call.option("max_val", 2, cls.high))


@dataclass(frozen=True)
class ELU(Op):
    """``scale`` times x, or times ``alpha`` (exp(x) - 1) below zero. Clevert et al. 2016 (arXiv 1511.07289).

    A SELU is the one whose two numbers keep mean 0 and variance 1 (Klambauer et al. 2017, arXiv 1706.02515).
    """

    alpha: float = 1.0
    scale: float = 1.0

    kind = "elu"
    modules = ("ELU", "SELU")
    functions = ("elu", "selu")
    elementwise = True
    costs = Tanh.costs

    @classmethod
    def of(cls, call: Call) -> Self:
        """With its ``alpha``, above zero as in the paper: its output then tells where it lies."""
        if call.called.lower() == "selu":
            return cls(SELU_ALPHA, SELU_SCALE)
        alpha = call.option("alpha", 1, cls.alpha)
        if not alpha > 0:
            raise InputError("ELU", got=f"alpha {alpha:g}", wanted="more than 0", do="set another alpha")
        return cls(alpha)


@dataclass(frozen=True)
class Sigmoid(Op):
    """1 / (1 + exp(-x)), or ``hard``: min(max(x + 3, 0), 6) / 6."""

    hard: bool = False

    kind = "sigmoid"
    modules = ("Sigmoid", "Hardsigmoid")
    functions = ("sigmoid", "hardsigmoid")
    both_signs = False
    costs = MappingProxyType(
        {"device": Row(saves=("output",), gradient="in_place"), "pytorch": Row(saves=("output",))}
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """By the name of what is called."""
        return cls(call.called.lower().startswith("hard"))
