"""What a layer with weights computes on integers: one protocol, NITI's and NITRO-D's arithmetic behind it."""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Size, Tensor

from blockwise.integer.ops import STEADY, Steps
from blockwise.integer.tensor import Accumulator, IntTensor
from blockwise.integer.xorshift import Xorshift32

Error = IntTensor | Accumulator
"""The gradient going back: int8 in NITI, int32 between NITRO-D's layers."""


@dataclass(frozen=True)
class Place:
    """A layer with weights and where it stands."""

    shape: tuple[int, ...]  # of the weights, (O, C) or (O, C of a group, kernel)
    steps: Steps = STEADY  # of a convolution's kernel
    relu: bool = False  # whether an activation follows
    edge: bool = False  # first or last layer, or one of a head: 8 bits in every form
    wide: bool = False  # whether what it writes has 8 bits in every form: the last layer reads it
    head: bool = False  # whether it belongs to a head, or is the network's last layer
    classes: int = 10  # that the network tells apart


@dataclass(frozen=True, eq=False)
class Scored:
    """A loss: the error (B, C) to send back, and the losses of all images, an int64 sum."""

    error: Error
    total: Tensor


class Arithmetic(Protocol):
    """Stateless: weights, random numbers and saved tensors are passed in."""

    @property
    def name(self) -> str:
        """As regimes name it."""
        ...

    def jumps(self, place: Place) -> bool:
        """Whether weights are states that jump at random, which may wait for several batches."""
        ...

    def deployed_bits(self, place: Place) -> int:
        """Bits of a weight when training is over."""
        ...

    def initial(self, place: Place, rng: Xorshift32) -> Tensor:
        """First weights as stored."""
        ...

    def stored(self, weights: Tensor, place: Place) -> Tensor:
        """Weights in float as stored, up to a factor: what a training may start from."""
        ...

    def floats(self, stored: Tensor, place: Place) -> Tensor:
        """What stored weights mean, float32."""
        ...

    def forward(self, x: IntTensor, weights: Tensor, place: Place) -> tuple[IntTensor, Any]:
        """The layer's output, and what :meth:`activated` needs of it."""
        ...

    def each(self, x: IntTensor, weights: Tensor, place: Place) -> IntTensor:
        """The output that :meth:`forward` has for each image (B, ...) as a batch of one; no exponent."""
        ...

    def sums(self, x: IntTensor, weights: Tensor, place: Place) -> Accumulator:
        """The sums of products that :meth:`forward` begins with, of weights as stored."""
        ...

    def activated(self, error: Error, saved: Any, place: Place) -> Error:
        """The error behind the activation, brought before it."""
        ...

    def input_sums(self, error: Error, weights: Tensor, place: Place, shape: Size) -> Accumulator:
        """The sums of products that :meth:`input_error` begins with."""
        ...

    def input_error(self, error: Error, weights: Tensor, place: Place, shape: Size) -> Error:
        """The error of the layer's input (``shape``), from the one of its sums."""
        ...

    def weight_sums(self, error: Error, x: IntTensor, place: Place) -> Accumulator:
        """The gradient of the weights, in their shape, that the error of the sums and the input make."""
        ...

    def updated(
        self, weights: Tensor, gradient: Accumulator, place: Place, mu: int, rng: Xorshift32
    ) -> Tensor:
        """The weights after a step by their gradient."""
        ...

    def loss(self, logits: IntTensor, labels: Tensor) -> Scored:
        """The loss of logits (B, C) under labels (B,)."""
        ...

    def mean_loss(self, total: int, images: int) -> float:
        """A sum of losses as a mean of usual unit, for people."""
        ...
