"""NITI's arithmetic (Wang et al. 2020, arXiv 2009.13108), in 8 bits and in two forms of 4."""

from dataclasses import dataclass, field
from math import log

import torch
from torch import Size, Tensor

from blockwise.integer import ops
from blockwise.integer.arithmetic import Error, Place, Scored
from blockwise.integer.each import requantize_each
from blockwise.integer.forms import Form, Jump4, Plain8, Residue4
from blockwise.integer.loss import ONE, cross_entropy
from blockwise.integer.pointwise import relu, relu_gradient
from blockwise.integer.rounding import requantize
from blockwise.integer.tensor import INT8, UINT4, Accumulator, Format, IntTensor
from blockwise.integer.xorshift import Xorshift32


@dataclass(frozen=True)
class Niti:
    """Accumulators are shifted into few bits by their largest; errors are int8 in every form.

    ``inner`` is the form of weights and ``activations`` the format behind a ReLU, of all but the first
    and the last layer and of local heads, which have 8 bits.
    """

    name: str
    inner: Form
    activations: Format
    edge: Form = field(default_factory=Plain8)

    def jumps(self, place: Place) -> bool:
        """Where they are states alone."""
        return isinstance(self.form(place), Jump4)

    def deployed_bits(self, place: Place) -> int:
        """The form's: a residue is left behind."""
        return self.form(place).deployed.bits

    def initial(self, place: Place, rng: Xorshift32) -> Tensor:
        """Xavier uniform."""
        return self.form(place).initial(place.shape, rng)

    def stored(self, weights: Tensor, place: Place) -> Tensor:
        """In the form of the layer."""
        return self.form(place).stored(weights, place.steps.groups)

    def floats(self, stored: Tensor, place: Place) -> Tensor:
        """By the exponent that follows from their shape."""
        return self.form(place).floats(stored, place.steps.groups)

    def forward(self, x: IntTensor, weights: Tensor, place: Place) -> tuple[IntTensor, Tensor | None]:
        """Sums, ReLU, requantization. Saved: where the sums are positive (1 bit an element)."""
        sums = self.sums(x, weights, place)
        if not place.relu:
            return requantize(sums, INT8), None
        return relu(sums, self.behind_relu(place))

    def each(self, x: IntTensor, weights: Tensor, place: Place) -> IntTensor:
        """Each image's sums are shifted by its own largest."""
        to = self.behind_relu(place).behind_relu if place.relu else INT8
        return requantize_each(self.sums(x, weights, place), to)

    def behind_relu(self, place: Place) -> Format:
        """What an activation writes, which is not negative."""
        return INT8 if place.wide else self.activations

    def sums(self, x: IntTensor, weights: Tensor, place: Place) -> Accumulator:
        """By the form's operand."""
        operand = self.form(place).operand(weights, place.steps.groups)
        if len(place.shape) == 2:
            return ops.linear(x, operand)
        return ops.conv(x, operand, place.steps)

    def activated(self, error: Error, saved: Tensor | None, place: Place) -> Error:
        """The error where the sums were positive."""
        return error if saved is None else relu_gradient(error, saved)

    def input_sums(self, error: Error, weights: Tensor, place: Place, shape: Size) -> Accumulator:
        """By the form's operand."""
        operand, e = self.form(place).operand(weights, place.steps.groups), _int8(error)
        if len(place.shape) == 2:
            return ops.linear_input_gradient(e, operand)
        return ops.conv_input_gradient(e, operand, shape, place.steps)

    def input_error(self, error: Error, weights: Tensor, place: Place, shape: Size) -> Error:
        """Sums, requantized to int8."""
        return requantize(self.input_sums(error, weights, place, shape), INT8)

    def weight_sums(self, error: Error, x: IntTensor, place: Place) -> Accumulator:
        """Of int8 by int8."""
        if len(place.shape) == 2:
            return ops.linear_weight_gradient(_int8(error), x)
        return ops.conv_weight_gradient(_int8(error), x, place.shape, place.steps)

    def updated(
        self, weights: Tensor, gradient: Accumulator, place: Place, mu: int, rng: Xorshift32
    ) -> Tensor:
        """One step of the form's own."""
        return self.form(place).updated(weights, gradient, mu, rng)

    def loss(self, logits: IntTensor, labels: Tensor) -> Scored:
        """Softmax cross entropy by powers of two; the sum is in 2^-12 bits."""
        found = cross_entropy(logits, labels)
        return Scored(found.error, found.losses.sum(dtype=torch.int64))

    def mean_loss(self, total: int, images: int) -> float:
        """Nats per image."""
        return total * log(2) / ONE / images

    def form(self, place: Place) -> Form:
        """How the weights of a layer are stored and moved."""
        return self.edge if place.edge else self.inner


def _int8(error: Error) -> IntTensor:
    assert isinstance(error, IntTensor)
    return error


NITI8 = Niti("niti", Plain8(), INT8)
NITI4 = Niti("niti4", Residue4(), UINT4)
NITI4_JUMP = Niti("niti4-jump", Jump4(), UINT4)
