"""The stages of a training, in each of which quantizers behave differently."""

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass

from torch import nn

from blockwise.quant.quantizer import FLOAT_BITS, Quantizer
from devices.errors import InputError


@dataclass(frozen=True)
class Stages:
    """``starts`` are shares of the epochs, the first 0; ``bits`` the least width in each, if given.

    With ``restarts`` the learning rate goes through its whole schedule in every stage; else once, through
    all of them. Only epochs of the last stage may be chosen as the best: before it, the network is not
    yet what will be deployed.
    """

    starts: tuple[float, ...] = (0.0,)
    bits: tuple[int, ...] = ()
    restarts: bool = False

    @classmethod
    def chain(cls, bits: tuple[int, ...]) -> "Stages":
        """Equal shares of the epochs at each least width: (32, 4, 1) goes from float over 4 to fewer."""
        return cls(tuple(i / len(bits) for i in range(len(bits))), bits)

    @property
    def last(self) -> int:
        """Number of the last stage."""
        return len(self.starts) - 1

    def at(self, epoch: int, epochs: int) -> int:
        """The stage of epoch ``epoch`` (from 0) of ``epochs``."""
        return bisect_right(self.starts, epoch / epochs) - 1

    def span(self, epoch: int, epochs: int) -> tuple[int, int]:
        """The epochs, from the first to before the last, of the schedule that ``epoch`` belongs to."""
        if not self.restarts:
            return 0, epochs
        own = [e for e in range(epochs) if self.at(e, epochs) == self.at(epoch, epochs)]
        return own[0], own[-1] + 1

    def check(self, epochs: int, flag: str = "--epochs") -> None:
        """Refuse so few epochs that the last stage has none."""
        if self.at(epochs - 1, epochs) < self.last:
            least = next(n for n in range(epochs, 10_000) if self.at(n - 1, n) == self.last)
            wanted = f"at least {least}, for the training has {len(self.starts)} stages"
            raise InputError(flag, got=epochs, wanted=wanted, do="choose a larger number")

    def enter(self, model: nn.Module, stage: int, but: Collection[nn.Module] = ()) -> None:
        """Tell every quantizer of ``model`` that is none of ``but``."""
        for quantizer in model.modules():
            if isinstance(quantizer, Quantizer) and quantizer not in but:
                if self.bits and not quantizer.after_training:
                    quantizer.set_bits(max(quantizer.target_bits, _own(self.bits[stage], quantizer)))
                quantizer.enter(stage, len(self.starts))


def _own(bits: int, quantizer: Quantizer) -> int:
    """Of so many bits those that are the quantizer's own; 32 are floats."""
    return bits if bits == FLOAT_BITS else bits - quantizer.sign_bits


ONE_STAGE = Stages()
"""Most trainings."""
