"""What of a layer is trained; all of it unless a choice says otherwise (:mod:`devices.network.partial`)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trained:
    """The parts of a layer that take steps; what does not is constant.

    ``weights`` are also the values of a layer's quantizers, and whether a dropout drops. ``biases`` are also
    a norm's scale and shift, and whether it follows the statistics of the batch.
    """

    weights: bool = True
    biases: bool = True

    @property
    def anything(self) -> bool:
        """Whether any part is."""
        return self.weights or self.biases


WHOLE = Trained()
FROZEN = Trained(weights=False, biases=False)
BIASES = Trained(weights=False)
