"""Augmentation of whole batches of signals: moved in time, turned, stretched in value, with noise.

Turns, jitter and scaling are those of Um et al. 2017 (arXiv 1706.00527) for wearable sensors; windows cut
from a recording begin anywhere, which the shift makes more of. Drawn as in :mod:`blockwise.data.augment`.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from blockwise.data.augment import Augment
from blockwise.data.scaling import Scaling
from blockwise.data.turning import turned


@dataclass(frozen=True)
class SignalAugment:
    """Random shift in time, then a turn and a factor for each sample, then noise.

    ``shift`` is in steps of the first axis behind the channels; the value at an end is repeated. ``scale``
    is the standard deviation of the factor, about ``fill``, the resting level of each channel; ``jitter``
    that of the noise, in levels. ``turn`` is the largest angle, in degrees, of signals whose channels are
    the three axes of a sensor, or of several; ``scaling`` says what their levels stand for.
    """

    shift: int = 0
    scale: float = 0.0
    jitter: float = 0.0
    fill: tuple[int, ...] = ()
    turn: float = 0.0
    scaling: Scaling | None = None

    def __post_init__(self) -> None:
        got = (self.shift, self.scale, self.jitter, self.turn)
        if min(got) < 0:
            raise ValueError(f"shift, scale, jitter, turn: got {got}, wanted at least 0 each")

    def __bool__(self) -> bool:
        """Whether any sample is changed at all."""
        return self.shift > 0 or self.scale > 0 or self.jitter > 0 or self.turn > 0

    def __str__(self) -> str:
        """In words, for reports."""
        parts = [
            f"shift by up to {self.shift} steps" if self.shift else "",
            f"turned by up to {self.turn:g}°" if self.turn else "",
            f"scaled by 1 ± {self.scale:g}" if self.scale else "",
            f"noise of {self.jitter:g} levels" if self.jitter else "",
        ]
        return ", ".join(part for part in parts if part) or "no augmentation"

    def __call__(self, signals: Tensor, generator: Generator) -> Tensor:
        """Augmented signals uint8 (B, C, L, ...); the input is left as it is."""
        if self.shift:
            signals = random_shift(signals, self.shift, generator)
        if self.turn or self.scale or self.jitter:
            signals = self._disturbed(signals, generator)
        return signals

    def _disturbed(self, signals: Tensor, generator: Generator) -> Tensor:
        values = signals.to(torch.float32)
        if self.turn:
            scaling = self.scaling or Scaling.of_bytes(signals.shape[1])
            values = scaling.levels(turned(scaling.values(values), self.turn, generator))
        if self.scale:
            rest = torch.tensor(self.fill or (0,) * signals.shape[1], dtype=torch.float32)
            rest = rest.view(1, -1, *(1,) * (signals.ndim - 2)).to(signals.device, non_blocking=True)
            factor = 1 + self.scale * _normal((len(signals), *(1,) * (signals.ndim - 1)), signals, generator)
            values = (values - rest) * factor + rest
        if self.jitter:
            values = values + self.jitter * _normal(tuple(signals.shape), signals, generator)
        return values.round_().clamp_(0, 255).to(torch.uint8)


Augmentation = Augment | SignalAugment
"""Of images, or of signals."""


def random_shift(signals: Tensor, most: int, generator: Generator) -> Tensor:
    """Move each of (B, C, L, ...) by -most..most steps of axis 2, uniformly; ends are repeated."""
    drawn = torch.randint(2 * most + 1, (len(signals), 1), generator=generator, device=generator.device)
    offsets = drawn.to(signals.device, non_blocking=True) - most
    steps = torch.arange(signals.shape[2], device=signals.device) + offsets
    index = steps.clamp_(0, signals.shape[2] - 1)
    return torch.take_along_dim(signals, index.view(len(signals), 1, -1, *(1,) * (signals.ndim - 3)), 2)


def _normal(shape: tuple[int, ...], signals: Tensor, generator: Generator) -> Tensor:
    drawn = torch.randn(shape, generator=generator, device=generator.device)
    return drawn.to(signals.device, non_blocking=True)
