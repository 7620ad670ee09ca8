"""Quantization after training: uniform levels, up to an end that a calibration set gives.

A network is trained in float. After that, batch norms are folded into the weights before them, some
training images pass, and each quantizer chooses its levels from what it sees
(blockwise/training/calibration.py). Used by itself, it chooses them from the first tensor. The end is
the largest magnitude (Krishnamoorthi 2018, arXiv 1806.08342), a percentile of the magnitudes (Wu et
al. 2020, arXiv 2004.09602), or where the square error is least (Nagel et al. 2021, arXiv 2106.08295).
"""

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from blockwise.quant.quantizer import Method, Quantizer, Role, round_ste
from devices.errors import InputError
from devices.network import Residual
from devices.network.bits import QuantizerMemory

OUTLIERS = 1000
"""One in so many magnitudes may lie beyond the 99.9th percentile; in a smaller channel, none does."""

GRID = 100
"""Ends that the least error is sought among: 1/100 to 100/100 of the largest magnitude."""


def largest(magnitudes: Tensor, high: int) -> Tensor:
    """The largest magnitude of each group."""
    return magnitudes.amax(dim=1)


def percentile(magnitudes: Tensor, high: int) -> Tensor:
    """The least that all but one in :data:`OUTLIERS` of a group's magnitudes do not exceed."""
    count = magnitudes.shape[1]
    return magnitudes.kthvalue(count - count // OUTLIERS, dim=1).values


def least_error(magnitudes: Tensor, high: int) -> Tensor:
    """That of a grid at which rounding and clipping leave the least square error."""
    top = magnitudes.amax(dim=1)
    unit = magnitudes / torch.where(top > 0, top, 1)[:, None]
    least, share = torch.full_like(top, torch.inf), torch.ones_like(top)
    for part in (i / GRID for i in range(1, GRID + 1)):
        step = part / high
        error = (unit / step).round_().clamp_(max=high).mul_(step).sub_(unit).square_().sum(dim=1)
        share = torch.where(error < least, part, share)
        least = torch.minimum(error, least)
    return share * top


class _Calibrated(Quantizer):
    """Integers times a step, which is the end's share; gradients pass within the range.

    ``step`` is (G,): every output channel of weights has one, and activations one for all.
    """

    needs_data = True
    after_training = True
    low: int  # the integers' range
    high: int
    step: Tensor

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self.register_buffer("step", torch.ones(self.shape[:1] or 1))

    @staticmethod
    @abstractmethod
    def end(magnitudes: Tensor, high: int) -> Tensor:
        """Where the highest level is to be (G,), given magnitudes (G, n)."""

    @abstractmethod
    def magnitudes(self, x: Tensor) -> Tensor:
        """What the levels above zero are to cover, in the shape of ``x``."""

    def initialise(self, x: Tensor) -> None:
        """Choose the steps; groups of zeros keep theirs."""
        wide = torch.promote_types(x.dtype, torch.float32)
        end = self.end(self.magnitudes(x).reshape(len(self.step), -1).to(wide), self.high)
        self.step.copy_(torch.where(end > 0, end / self.high, self.step))

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize ``x`` of any shape; weights have the output channel first."""
        step = _beside(self.step, x)
        return round_ste((x / step).clamp(self.low, self.high)) * step

    def codes(self, x: Tensor) -> Tensor:
        """Codes from 0, which is the lowest level. Raises InputError before any data were seen."""
        self._check()
        return (x / _beside(self.step, x)).clamp(self.low, self.high).round().long() - self.low

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The steps. Raises InputError before any data were seen."""
        self._check()
        return {"step": self.step}

    def _check(self) -> None:
        if not self._is_ready:
            raise InputError(
                f"quantizer of {self.role}s", got="no calibration data", wanted="levels chosen from some",
                do="pass a tensor through it first",
            )  # fmt: skip


def _beside(step: Tensor, x: Tensor) -> Tensor:
    """Steps in the type of ``x``, one for each entry of its first dimension or one for all."""
    return step.to(x.dtype).view(-1, *(1 for _ in x.shape[1:]))


class _Weight(_Calibrated):
    """Integers -(2^(b-1) - 1) .. 2^(b-1) - 1: as many below zero as above."""

    symmetric = True
    elementwise = False

    def configure(self, bits: int) -> None:
        """The range."""
        super().configure(bits)
        self.high = (1 << bits - 1) - 1
        self.low = -self.high

    def magnitudes(self, x: Tensor) -> Tensor:
        """Of either sign."""
        return x.abs()

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """Steps times integers."""
        integers = codes.view(shape) - ((1 << bits - 1) - 1)
        return integers.float() * _beside(constants["step"], integers.float())

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Once deployed, a step per output channel."""
        return QuantizerMemory(packed=1, per_channel=True)


class _Activation(_Calibrated):
    """Integers 0 .. 2^b - 1, which includes the ReLU."""

    low = 0

    def configure(self, bits: int) -> None:
        """The range."""
        super().configure(bits)
        self.high = (1 << bits) - 1

    def magnitudes(self, x: Tensor) -> Tensor:
        """Behind the ReLU; its zeros count."""
        return x.relu()

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """Once deployed, one step."""
        return QuantizerMemory(packed=1)


class MinMaxWeight(_Weight):
    """Up to the largest magnitude of the channel."""

    end = staticmethod(largest)


class MinMaxActivation(_Activation):
    """Up to the largest activation."""

    end = staticmethod(largest)


class PercentileWeight(_Weight):
    """Up to a percentile of the channel's magnitudes."""

    end = staticmethod(percentile)


class PercentileActivation(_Activation):
    """Up to a percentile of the activations."""

    end = staticmethod(percentile)


class LeastErrorWeight(_Weight):
    """Up to where the channel's square error is least."""

    end = staticmethod(least_error)


class LeastErrorActivation(_Activation):
    """Up to where the square error is least."""

    end = staticmethod(least_error)


def _method(
    name: str, description: str, source: str, weight: type[Quantizer], activation: type[Quantizer],
    residual: Residual,
) -> Method:  # fmt: skip
    bits = tuple(range(2, 9))
    described = f"quantized after training, up to {description}"
    return Method(
        name, described, source, "linear", weight, activation, edge_bits=8, weight_bits=bits,
        activation_bits=bits, residual=residual,
    )  # fmt: skip


METHODS = (
    _method(
        "ptq-minmax", "the largest magnitude", "Krishnamoorthi 2018, arXiv 1806.08342",
        MinMaxWeight, MinMaxActivation, "codes",  # the outputs of sums are quantized, and read by all
    ),
    _method(
        "ptq-percentile", "a percentile of magnitudes", "Wu et al. 2020, arXiv 2004.09602",
        PercentileWeight, PercentileActivation, "float",  # the inputs of products are quantized
    ),
    _method(
        "ptq-mse", "where the square error is least", "Nagel et al. 2021, arXiv 2106.08295",
        LeastErrorWeight, LeastErrorActivation, "codes",  # as in minmax
    ),
)  # fmt: skip
