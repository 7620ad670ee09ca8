"""The arithmetic of NITRO-D (Pirillo et al. 2024, arXiv 2407.11698): no exponents, int32 weights.

Sums of products are those of :mod:`blockwise.integer.ops` on plain tensors. All divisions truncate
towards zero, as C's do: a floor would move every small negative gradient by a whole unit. Errors of a
head are int32 and may pass one layer only: behind two of them sums no longer fit 32 bits.
"""

from dataclasses import dataclass
from math import isqrt, prod, sqrt

import torch
from torch import Size, Tensor

from blockwise.integer import ops
from blockwise.integer.arithmetic import Error, Place, Scored
from blockwise.integer.conversion import whole
from blockwise.integer.tensor import Accumulator, IntTensor, shared
from blockwise.integer.update import FIRST_MU
from blockwise.integer.xorshift import Xorshift32

INT32_MAX = (1 << 31) - 1
LIMIT = 127
CENTRE = 36
"""Mean of the four segments of the activation before centring: (-31 - 15 + 63 + 127) / 4."""
ONE_HOT = 32
PER_PRODUCT = 1 << 8
"""The scale factor for each product that a sum is made of."""
INVERSE_RATE = 512
"""It stands at mu = 5; each bit less halves the rate. The paper takes a third on a plateau instead."""
PER_CLASS = 64
"""The amplification factor of a block's layer, for each class."""
BLOCK_DECAY, HEAD_DECAY = 25_000, 3_000
"""Inverse weight decays for CIFAR-10."""
GAIN, SQRT_3, RANGE, LARGEST_BOUND = 1372, 1732, 128, 64
"""sqrt(2 / (1 + 1/16)) and sqrt 3 in thousandths, what stands for 1, and the largest first weight."""


def scale_factor(shape: tuple[int, ...]) -> int:
    """Of weights (O, C, ...): 2^8 for each product of a sum, 2^8 k^2 C of a square kernel."""
    return PER_PRODUCT * prod(shape[1:])


def scale(sums: Tensor, factor: int) -> Tensor:
    """clip(trunc(z / factor), +-127), int8. Going back the error passes unchanged."""
    return _quotient(sums, factor).clamp_(-LIMIT, LIMIT).to(torch.int8)


def scaled(sums: Accumulator, place: Place) -> Tensor:
    """A layer's sums by its scale factor, int8."""
    return scale(sums.mantissa, scale_factor(place.shape))


def relu(x: Tensor) -> Tensor:
    """max(x, 0) + trunc(min(x, 0) / 4) - 36 of int8 x within +-127: int8, -67 .. 91."""
    return x.clamp_min(0).add_(_quotient(x.clamp_max(0), 4)).sub_(CENTRE)


def relu_gradient(error: Tensor, x: Tensor) -> Tensor:
    """The error where 0 <= x < 127, trunc(error / 4) where x < 0, and 0 where x is at its limit 127."""
    quarter = (x >> 7).to(error.dtype)  # all bits where x < 0, none elsewhere
    passed = (x.clamp_min(0).add_(1) >> 7).bitwise_not_().to(error.dtype)  # 127 + 1 wraps: no bits there
    return error.bitwise_xor((error ^ _quotient(error, 4)).bitwise_and_(quarter)).bitwise_and_(passed)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Targets (B, classes): 32 for the label, else 0; int8."""
    targets = torch.zeros(len(labels), classes, dtype=torch.int8, device=labels.device)
    return targets.scatter_(1, labels.view(-1, 1), ONE_HOT)


def output_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The gradient of half the squared error, clip(y - target, +-127), int8."""
    return (outputs.to(torch.int16) - targets).clamp_(-LIMIT, LIMIT).to(torch.int8)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the sum of squares of each image, for monitoring, rounded down; int32 (B,)."""
    difference = outputs.to(torch.int32) - targets
    return (difference * difference).sum(1, dtype=torch.int32) >> 1


def kaiming_bound(shape: tuple[int, ...]) -> int:
    """First weights of (O, C, ...) are within: gain x 128 x sqrt 3 / floor(sqrt(fan in)), 1 to 64.

    As the authors' library has it for slopes of 1/4, but for fans so wide that all weights would be zero.
    """
    found = GAIN * RANGE * SQRT_3 // (isqrt(prod(shape[1:])) * 1_000_000)
    return max(1, min(found, LARGEST_BOUND))


@dataclass(frozen=True)
class IntegerSGD:
    """W <- W - trunc(sum G / (inverse_rate x amplification)) - trunc(W / inverse_decay).

    ``amplification`` is 64 x classes for the layers of a block and 1 for its head, whose gradient has not
    passed through a head; an ``inverse_decay`` of 0 means none.
    """

    inverse_rate: int = INVERSE_RATE
    amplification: int = 1
    inverse_decay: int = 0

    def update(self, weights: Tensor, gradient: Tensor) -> Tensor:
        """The int32 weights after one step by int32 ``gradient``, the sum over the batch."""
        step = _quotient(gradient, self.inverse_rate * self.amplification)
        if self.inverse_decay:
            step += _quotient(weights, self.inverse_decay)
        return weights - step


@dataclass(frozen=True)
class Nitro:
    """int32 weights and errors, int8 activations; every layer is a block of its own."""

    name: str = "nitro"

    def jumps(self, place: Place) -> bool:
        """Weights step by quotients."""
        return False

    def deployed_bits(self, place: Place) -> int:
        """They are not clipped."""
        return 32

    def initial(self, place: Place, rng: Xorshift32) -> Tensor:
        """Kaiming uniform."""
        bound = kaiming_bound(place.shape)
        return rng.uniform(prod(place.shape), 2 * bound + 1).sub_(bound).view(place.shape)

    def stored(self, weights: Tensor, place: Place) -> Tensor:
        """As large as first weights are, whose scale factors the activations need."""
        units = weights.detach().double() * RANGE
        size = float(units.square().mean().sqrt())
        if size and not whole(units, -INT32_MAX, INT32_MAX):
            units = units * (kaiming_bound(tuple(weights.shape)) / sqrt(3) / size)
        return units.round().to(torch.int32)

    def floats(self, stored: Tensor, place: Place) -> Tensor:
        """128 stands for 1."""
        return stored.float() / RANGE

    def forward(self, x: IntTensor, weights: Tensor, place: Place) -> tuple[IntTensor, Tensor | None]:
        """Sums, scaling, NITRO-ReLU. Saved: the scaled sums, of which three ranges matter (2 bits)."""
        found = scaled(self.sums(x, weights, place), place)
        if not place.relu:
            return IntTensor(found, 0), None
        return IntTensor(relu(found), 0), found

    def each(self, x: IntTensor, weights: Tensor, place: Place) -> IntTensor:
        """Divisors follow from shapes: an image is the same in every batch."""
        return self.forward(x, weights, place)[0]

    def sums(self, x: IntTensor, weights: Tensor, place: Place) -> Accumulator:
        """Of weights as they are."""
        if len(place.shape) == 2:
            return Accumulator(ops.linear_sums(x.mantissa, weights), 0)
        return Accumulator(ops.conv_sums(x.mantissa, weights, place.steps), 0)

    def activated(self, error: Error, saved: Tensor | None, place: Place) -> Error:
        """What average pools take off the exponent is divided; then the activation's slope."""
        mantissa = error.mantissa
        exponent = shared(error.exponent)
        if exponent:
            mantissa = _quotient(mantissa.to(torch.int32), 1 << -exponent)
        if saved is not None:
            mantissa = relu_gradient(mantissa, saved)
        return _plain(mantissa)

    def input_sums(self, error: Error, weights: Tensor, place: Place, shape: Size) -> Accumulator:
        """Of weights as they are."""
        if len(place.shape) == 2:
            return Accumulator(ops.linear_input_sums(error.mantissa, weights), 0)
        return Accumulator(ops.conv_input_sums(error.mantissa, weights, shape, place.steps), 0)

    def input_error(self, error: Error, weights: Tensor, place: Place, shape: Size) -> Error:
        """Sums as they are."""
        return self.input_sums(error, weights, place, shape)

    def weight_sums(self, error: Error, x: IntTensor, place: Place) -> Accumulator:
        """Of int32 errors by int8 inputs."""
        e, inputs = error.mantissa, x.mantissa
        if len(place.shape) == 2:
            return Accumulator(ops.linear_weight_sums(e, inputs), 0)
        return Accumulator(ops.conv_weight_sums(e, inputs, place.shape, place.steps), 0)

    def updated(
        self, weights: Tensor, gradient: Accumulator, place: Place, mu: int, rng: Xorshift32
    ) -> Tensor:
        """IntegerSGD; nothing is drawn."""
        return optimizer_of(place, mu).update(weights, gradient.mantissa)

    def loss(self, logits: IntTensor, labels: Tensor) -> Scored:
        """Half the squared distance to the target, 32 for the label and 0 elsewhere."""
        targets = one_hot(labels, logits.shape[1])
        error = IntTensor(output_error(logits.mantissa, targets), 0)
        return Scored(error, squared_error(logits.mantissa, targets).sum(dtype=torch.int64))

    def mean_loss(self, total: int, images: int) -> float:
        """Half the squared error per image, where 1 is the label's target."""
        return total / ONE_HOT**2 / images


def optimizer_of(place: Place, mu: int) -> IntegerSGD:
    """The step of a layer at a rate of ``mu`` bits."""
    inverse_rate = INVERSE_RATE << FIRST_MU - mu if mu < FIRST_MU else INVERSE_RATE >> mu - FIRST_MU
    if place.head:
        return IntegerSGD(inverse_rate, 1, HEAD_DECAY)
    return IntegerSGD(inverse_rate, PER_CLASS * place.classes, BLOCK_DECAY)


def _plain(mantissa: Tensor) -> Error:
    """Without an exponent."""
    return IntTensor(mantissa, 0) if mantissa.dtype == torch.int8 else Accumulator(mantissa, 0)


NITRO = Nitro()


def _quotient(x: Tensor, divisor: int) -> Tensor:
    """x / divisor, truncated towards zero. By a power of two it is a shift, ten times as fast."""
    if divisor & divisor - 1:
        return torch.div(x, divisor, rounding_mode="trunc")
    negative = x >> 8 * x.element_size() - 1
    return negative.bitwise_and_(divisor - 1).add_(x).bitwise_right_shift_(divisor.bit_length() - 1)
