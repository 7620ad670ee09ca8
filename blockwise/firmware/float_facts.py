"""What C needs of a float training beside its schedule: quantizers, optimizer, pixels, first values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from blockwise.quant.methods.lsq import LSQ
from blockwise.quant.on_board import SignedOnBoard
from devices.errors import InputError
from devices.program.kernels.machine import FloatMachine
from devices.program.kernels.updates import Pace, Paces
from devices.program.schedule import Schedule

LARGEST_PIXEL = 255
OPTIMIZERS = ("sgd", "sgd-momentum")
"""Those that have a C form."""


@dataclass(frozen=True)
class Levels:
    """The range of a learned step size (LSQ): codes of ``bits`` bits stand for ``low`` .. ``high`` steps."""

    bits: int
    low: int
    high: int
    binary: bool = False  # two levels, -1 and 1


@dataclass(frozen=True)
class Affine:
    """Bytes of pixels as floats: ``scale`` times the byte plus ``shift``, channel by channel."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class FloatDirections:
    """How a zeroth-order step goes: ``eps`` to either side, along so many directions.

    ``numbers`` are those of parameters, by which their directions are drawn.
    """

    eps: float
    directions: int
    numbers: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class FloatFacts:
    """``first`` are the values that tensors start from, flat, in the simulation's order.

    They are those of resident tensors and of what a block brings into RAM when its training begins. The rate
    of a parameter is ``paces[name].rate`` times the learning rate of the step.
    """

    quantizers: Mapping[str, Levels]  # layer -> its quantizer
    momentum: float  # of sgd 0
    paces: Mapping[str, Pace]
    pixels: Affine
    first: Mapping[str, Tensor]
    images: int  # of a step
    rate: float = 0.0  # the learning rate until another is set
    prediction: Schedule | None = None  # of one image, through what training leaves
    directions: FloatDirections | None = None  # of a zeroth-order regime
    loss_weights: Mapping[str, float] = field(default_factory=dict)  # of losses, where it is not 1
    tells: bool = False  # what activations read and made, to a comparison on this computer


def float_facts(machine: FloatMachine, channels: int, rate: float) -> FloatFacts:
    """From a float machine whose learning rate is ``rate``.

    Raises InputError for an optimizer or a quantizer that has no C form.
    """
    optimizer = machine.optimizer
    if optimizer.name not in OPTIMIZERS:
        raise without_form("--optimizer", optimizer.name, " or ".join(OPTIMIZERS), "use one of these")
    if machine.constraints:
        raise without_form("--method", "a method that constrains weights", "fp32 or lsq", "use one of these")
    return FloatFacts(
        {name: _levels(found) for name, found in machine.quantizers.items()},
        optimizer.momentum if optimizer.name == "sgd-momentum" else 0.0,
        {name: _relative(pace, rate) for name, pace in machine.paces.items()},
        affine_of(machine.normalize, channels),
        machine.start,
        machine.images,
        directions=_directions(machine),
        loss_weights=machine.loss_weights,
    )


def _relative(pace: Pace | Paces, rate: float) -> Pace:
    assert isinstance(pace, Pace)  # of LSQ, which trains one value
    return replace(pace, rate=pace.rate / rate)


def _directions(machine: FloatMachine) -> FloatDirections | None:
    found = machine.directions
    return None if found is None else FloatDirections(found.eps, found.count, found.numbers)


def without_form(subject: str, got: str, wanted: str, do: str) -> InputError:
    """The one line for what has no C form."""
    return InputError(subject, got=f"{got}, which has no C form", wanted=wanted, do=do)


def _levels(on_board: object) -> Levels:
    quantizer = getattr(on_board, "quantizer", None)
    if not isinstance(quantizer, LSQ):
        got = f"a quantizer {type(quantizer).__name__}"
        raise without_form("--method", got, "fp32 or lsq", "use one of these")
    if isinstance(on_board, SignedOnBoard):  # a magnitude and its sign are as many levels to either side
        return Levels(quantizer.bits + 1, -quantizer.high, quantizer.high)
    return Levels(quantizer.bits, quantizer.low, quantizer.high, quantizer.binary)


def affine_of(normalize: Callable[[Tensor], Tensor], channels: int) -> Affine:
    """What ``normalize`` does to a byte, found by the images of nothing but 0 and but 255."""
    ends = [
        normalize(torch.full((1, channels, 1, 1), value, dtype=torch.uint8)).double().flatten()
        for value in (0, LARGEST_PIXEL)
    ]
    scale = (ends[1] - ends[0]) / LARGEST_PIXEL
    return Affine(tuple(scale.tolist()), tuple(ends[0].tolist()))
