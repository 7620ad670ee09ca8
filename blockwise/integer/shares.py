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

    @property
    def here(self) -> tuple[slice, slice]:
        """Where they stand in the tensor."""
        return slice(self.outputs), slice(self.inputs)

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
        moved = arithmetic.updated(weights[self.here], gradient, self.place, mu, rng)
        return self.put(weights, moved)

    def put(self, weights: Tensor, moved: Tensor) -> Tensor:
        """All weights, with others in their places."""
        found = weights.clone()
        found[self.here] = moved
        return found


def trained(layer_share: Share | None, weights: Tensor) -> Tensor:
    """Of all weights those that are trained."""
    return weights if layer_share is None else weights[layer_share.here]


def with_trained(layer_share: Share | None, weights: Tensor, moved: Tensor) -> Tensor:
    """All weights behind a step of those that are trained."""
    return moved if layer_share is None else layer_share.put(weights, moved)
