"""Integer weights of which only the first channels take steps: their gradient, and where they stand."""

from dataclasses import dataclass, replace

from torch import Tensor

from blockwise.integer.arithmetic import Arithmetic, Error, Place
from blockwise.integer.tensor import Accumulator, IntTensor
from blockwise.integer.xorshift import Xorshift32
from devices.network import Layer


@dataclass(frozen=True)
class Share:
    """The first ``outputs`` filters, of each the first ``inputs`` channels; ``place`` is theirs alone."""

    outputs: int
    inputs: int
    place: Place

    @classmethod
    def of(cls, layer: Layer, place: Place) -> "Share | None":
        """Of a planned layer that stands at ``place``; None where all of its weights are trained."""
        if not layer.is_shared:
            return None
        outputs, inputs = layer.trained_outputs, layer.trained_inputs
        groups = outputs if place.steps.groups > 1 else 1
        steps, shape = replace(place.steps, groups=groups), (outputs, inputs, *place.shape[2:])
        return cls(outputs, inputs, replace(place, shape=shape, steps=steps))

    def weight_sums(self, arithmetic: Arithmetic, error: Error, x: IntTensor) -> Accumulator:
        """Their gradient, from the error of all sums and the whole input."""
        read = self.outputs if self.place.steps.groups > 1 else self.inputs
        mine = replace(error, mantissa=error.mantissa[:, : self.outputs].contiguous())
        of_mine = replace(x, mantissa=x.mantissa[:, :read].contiguous())
        return arithmetic.weight_sums(mine, of_mine, self.place)

    def updated(
        self, arithmetic: Arithmetic, weights: Tensor, gradient: Accumulator, mu: int, rng: Xorshift32
    ) -> Tensor:
        """All weights behind a step of these."""
        found, here = weights.clone(), (slice(self.outputs), slice(self.inputs))
        found[here] = arithmetic.updated(weights[here], gradient, self.place, mu, rng)
        return found
