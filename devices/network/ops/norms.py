"""Norms: of a batch, of groups of channels, and constant ones."""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from devices.network.ops.beside import Beside
from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row

EPS = 1e-5
MOMENTUM = 0.1
"""PyTorch's own."""


@dataclass(frozen=True)
class BatchNorm(Op):
    """Each channel by its mean and variance over the batch and space (Ioffe & Szegedy 2015)."""

    channels: int
    eps: float = EPS
    momentum: float | None = MOMENTUM  # of the running statistics; None: their mean over all batches
    affine: bool = True
    tracks: bool = True  # whether there are running statistics

    kind = "batch_norm"
    modules: ClassVar[tuple[str | type, ...]] = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
    elementwise = True
    normalises = True
    batch_statistics = True
    costs = MappingProxyType(
        {
            # The normalised values overwrite the accumulator and are kept at its precision; the
            # mean is inside them, 1/std is not. Scale and shift are applied by the reader.
            "device": Row("in_place", saves=("output", "statistics"), gradient="in_place", statistics=1),
            "pytorch": Row(saves=("input", "statistics"), statistics=2),  # mean and 1/std
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """The geometry of a module of torch.nn."""
        norm = call.module
        tracks = norm.running_mean is not None
        return cls(norm.num_features, norm.eps, norm.momentum, norm.weight is not None, tracks)

    @property
    def biases(self) -> int:
        """A scale and a shift for each channel, or none."""
        return 2 * self.channels * self.affine

    @property
    def buffers(self) -> int:
        """A running mean and variance for each channel, or none."""
        return 2 * self.channels * self.tracks


@dataclass(frozen=True)
class RecomputedBatchNorm(BatchNorm):
    """Batch norm whose input is computed again going back, from the convolution's codes."""

    kind = "batch_norm_recompute"
    modules: ClassVar[tuple[str | type, ...]] = ()
    costs = MappingProxyType(
        {
            # Only mean and 1/std are kept; the accumulator is computed again from the convolution's input.
            "device": Row(
                "in_place", saves=("output", "statistics"), gradient="in_place", statistics=2, remade=True
            ),
            "pytorch": BatchNorm.costs["pytorch"],
        }
    )


@dataclass(frozen=True)
class GroupNorm(Op):
    """Each sample's groups of channels by their mean and variance (Wu & He 2018, arXiv 1803.08494)."""

    channels: int
    groups: int
    eps: float = EPS
    affine: bool = True

    kind = "group_norm"
    modules = ("GroupNorm",)
    elementwise = True
    normalises = True
    costs = MappingProxyType(
        {
            "device": Row("in_place", saves=("output", "statistics"), gradient="in_place", statistics=1),
            "pytorch": Row(saves=("input", "statistics"), statistics=2),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """The geometry of a module of torch.nn."""
        norm = call.module
        return cls(norm.num_channels, norm.num_groups, norm.eps, norm.affine)

    @property
    def biases(self) -> int:
        """A scale and a shift for each channel, or none."""
        return 2 * self.channels * self.affine

    @property
    def norm_groups(self) -> int:
        """As many means of a sample."""
        return self.groups


@dataclass(frozen=True)
class LayerNorm(Op):
    """Each sample by the mean and variance over its last dimensions (Ba et al. 2016, arXiv 1607.06450).

    ``normalized`` are their sizes; a scale and a shift belong to each of their elements.
    """

    normalized: tuple[int, ...]
    rows: int = 1  # of a sample: how many means it has
    eps: float = EPS
    affine: bool = True

    kind = "layer_norm"
    modules = ("LayerNorm",)
    elementwise = True
    normalises = True
    costs = GroupNorm.costs

    @classmethod
    def of(cls, call: Call) -> Self:
        """The geometry of a module of torch.nn."""
        norm = call.module
        shape = tuple(norm.normalized_shape)
        rows = math.prod(call.inputs[0]) // math.prod(shape) if call.inputs and call.inputs[0] else 1
        return cls(shape, rows, norm.eps, norm.weight is not None)

    @property
    def biases(self) -> int:
        """A scale and a shift for each element, or none."""
        return 2 * math.prod(self.normalized) * self.affine

    @property
    def norm_groups(self) -> int:
        """As many means of a sample."""
        return self.rows


@dataclass(frozen=True)
class ChannelNorm(Op):
    """Each position of a map by the mean and variance of its channels, as ConvNeXt's (arXiv 2201.03545).

    It is the layer norm of maps whose channels stand last, on maps whose channels stand first.
    """

    channels: int
    positions: int = 1  # of a sample: how many means it has
    eps: float = EPS
    affine: bool = True

    kind = "channel_norm"
    elementwise = True
    normalises = True
    costs = GroupNorm.costs

    @classmethod
    def of(cls, call: Call) -> Self:
        """The geometry of a module of ours."""
        norm = call.module
        return cls(norm.channels, math.prod(call.output[1:]), norm.eps, norm.weight is not None)

    @property
    def biases(self) -> int:
        """A scale and a shift for each channel, or none."""
        return 2 * self.channels * self.affine

    @property
    def norm_groups(self) -> int:
        """As many means of a sample."""
        return self.positions


@dataclass(frozen=True)
class FrozenNorm(Beside, Op):
    """A constant scale and shift for each channel.

    With ``sides``, a shape without the batch, they stand so beside the map, as a table of sines for places.
    """

    channels: int
    sides: tuple[int, ...] = ()

    kind = "frozen_norm"
    elementwise = True
    normalises = True
    costs = MappingProxyType({"device": Row("in_place", gradient="in_place"), "pytorch": Row()})

    @classmethod
    def of(cls, call: Call) -> Self:
        """As many channels as its input has."""
        return cls(call.channels, call.beside)

    @property
    def buffers(self) -> int:
        """The constants."""
        return 2 * self.count


@dataclass(frozen=True)
class ShiftedNorm(FrozenNorm):
    """A constant scale for each channel, and a shift that is trained: a bias behind its layer."""

    kind = "shifted_norm"

    @property
    def biases(self) -> int:
        """The shifts."""
        return self.channels

    @property
    def bias_tensors(self) -> int:
        """The shifts alone."""
        return 1

    @property
    def buffers(self) -> int:
        """The scales."""
        return self.channels

    @property
    def folded(self) -> int:
        """Both."""
        return 2 * self.channels
