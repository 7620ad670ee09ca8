"""What of a layer is trained; all of it unless a choice says otherwise (:mod:`devices.network.partial`)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trained:
    """The parts of a layer that take steps; what does not is constant.

    ``biases`` are also a norm's scale and shift, and whether it follows the statistics of the batch.
    ``levels`` are the values of a layer's quantizers, and whether a dropout drops. ``outputs`` and
    ``inputs`` are how many of the first channels of the weights are trained; None: all.
    """

    weights: bool = True
    biases: bool = True
    levels: bool = True
    outputs: int | None = None
    inputs: int | None = None

    @property
    def anything(self) -> bool:
        """Whether any part is."""
        return self.weights or self.biases or self.levels


WHOLE = Trained()
FROZEN = Trained(weights=False, biases=False, levels=False)
BIASES = Trained(weights=False, levels=False)
