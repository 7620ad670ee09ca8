"""Convolution and linear layers on integers, with their gradients: int8 in, int32 accumulators out.

The functions on plain tensors take integers of any width; those on :class:`IntTensor` add exponents and
refuse, by shapes alone, what might not fit an int32 accumulator on a board.
"""

from dataclasses import dataclass, replace
from math import prod

from torch import Size, Tensor
from torch.nn import functional, grad

from blockwise.integer.accumulate import INT32_MAX, Contraction, require_int32, sum_of_products
from blockwise.integer.tensor import Accumulator, IntTensor
from blockwise.layers.strided import are_apart, places

FORWARD = Contraction(a=1, b=1)  # x (B, C, ...) with w (O, C, ...): over C, for each O
BACKWARD = Contraction(a=1, b=0)  # e (B, O, ...) with w (O, C, ...): over O, for each C
WEIGHTS = Contraction(a=0, b=0)  # x (B, C, ...) with e (B, O, ...): over B, for each O

FEWER_CHANNELS = "use fewer channels or a smaller kernel"


@dataclass(frozen=True)
class Sides:
    """A number for every dimension of space."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True)
class Steps:
    """How a kernel moves over a map: each a number for every dimension of space, or one for all of them.

    Of ``groups`` groups, a filter sees the channels of its own.
    """

    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1

    def sides(self, rank: int) -> Sides:
        """In each of ``rank`` dimensions of space."""
        given = self.stride, self.padding, self.dilation
        return Sides(*(each if isinstance(each, tuple) else (each,) * rank for each in given))


STEADY = Steps()


def conv_sums(x: Tensor, w: Tensor, steps: Steps = STEADY) -> Tensor:
    """x (B, C, ...) with w (O, C / groups, ...), zeros around: int32 (B, O, ...), of 1 to 3 dimensions."""
    conv, s = getattr(functional, f"conv{w.ndim - 2}d"), steps
    dims = replace(FORWARD, groups=s.groups)
    return sum_of_products(
        lambda a, b: conv(a, b, None, s.stride, s.padding, s.dilation, s.groups), x, w, dims
    )


def conv_input_sums(error: Tensor, w: Tensor, in_shape: tuple[int, ...], steps: Steps = STEADY) -> Tensor:
    """The gradient of a convolution's input (B, C, ...), from the error (B, O, ...) behind it."""

    def compute(e: Tensor, kernel: Tensor) -> Tensor:
        made, s = getattr(grad, f"conv{w.ndim - 2}d_input"), steps
        gradient: Tensor = made(in_shape, kernel, e, s.stride, s.padding, s.dilation, s.groups)
        return gradient

    return sum_of_products(compute, error, w, replace(BACKWARD, groups=steps.groups))


def conv_weight_sums(
    error: Tensor, x: Tensor, kernel_shape: tuple[int, ...], steps: Steps = STEADY
) -> Tensor:
    """The gradient of a convolution's weights (O, C / groups, ...), summed over images and positions."""

    def compute(images: Tensor, e: Tensor) -> Tensor:
        made, s = getattr(grad, f"conv{x.ndim - 2}d_weight"), steps
        sides = s.sides(x.ndim - 2)
        if are_apart(kernel_shape[2:], sides.stride) and not any(sides.padding):
            images, s = places(images, sides.stride), replace(s, stride=1)
        gradient: Tensor = made(images, kernel_shape, e, s.stride, s.padding, s.dilation, s.groups)
        return gradient

    return sum_of_products(compute, x, error, WEIGHTS)


def linear_sums(x: Tensor, w: Tensor) -> Tensor:
    """x (B, C) with w (O, C): int32 (B, O)."""
    return sum_of_products(functional.linear, x, w, FORWARD)


def linear_input_sums(error: Tensor, w: Tensor) -> Tensor:
    """The gradient of a linear layer's input (B, C), from the error (B, O) behind it."""
    return sum_of_products(lambda e, weight: e @ weight, error, w, BACKWARD)


def linear_weight_sums(error: Tensor, x: Tensor) -> Tensor:
    """The gradient of a linear layer's weights (O, C), summed over images."""
    return sum_of_products(lambda features, e: e.t() @ features, x, error, WEIGHTS)


def conv(x: IntTensor, w: IntTensor, steps: Steps = STEADY) -> Accumulator:
    """Accumulators (B, O, ...) of the convolution of x (B, C, ...) with w (O, C / groups, ...)."""
    _check("convolution", prod(w.shape[1:]), x, w)
    return Accumulator(conv_sums(x.mantissa, w.mantissa, steps), x.exponent + w.exponent)


def conv_input_gradient(
    error: IntTensor, w: IntTensor, in_shape: Size | tuple[int, ...], steps: Steps = STEADY
) -> Accumulator:
    """Accumulators of the error (B, C, ...) before a convolution, from the one behind it."""
    terms = w.shape[0] // steps.groups * prod(w.shape[2:])
    _check("input gradient of a convolution", terms, error, w)
    sums = conv_input_sums(error.mantissa, w.mantissa, tuple(in_shape), steps)
    return Accumulator(sums, error.exponent + w.exponent)


def conv_weight_gradient(
    error: IntTensor, x: IntTensor, kernel_shape: Size | tuple[int, ...], steps: Steps = STEADY
) -> Accumulator:
    """Accumulators of the weight gradient (O, C / groups, ...), summed over the batch."""
    _check_batch(error, x)
    sums = conv_weight_sums(error.mantissa, x.mantissa, tuple(kernel_shape), steps)
    return Accumulator(sums, error.exponent + x.exponent)


def linear(x: IntTensor, w: IntTensor) -> Accumulator:
    """Accumulators (B, O) of x (B, C) times w (O, C)."""
    _check("linear layer", w.shape[1], x, w)
    return Accumulator(linear_sums(x.mantissa, w.mantissa), x.exponent + w.exponent)


def linear_input_gradient(error: IntTensor, w: IntTensor) -> Accumulator:
    """Accumulators of the error (B, C) before a linear layer, from the one (B, O) behind it."""
    _check("input gradient of a linear layer", w.shape[0], error, w)
    return Accumulator(linear_input_sums(error.mantissa, w.mantissa), error.exponent + w.exponent)


def linear_weight_gradient(error: IntTensor, x: IntTensor) -> Accumulator:
    """Accumulators of the weight gradient (O, C), summed over the batch."""
    _check_batch(error, x)
    return Accumulator(linear_weight_sums(error.mantissa, x.mantissa), error.exponent + x.exponent)


def largest_batch(positions: int, largest_product: int = 127 * 127) -> int:
    """Images whose weight gradient surely fits 32 bits, for an output map of ``positions`` pixels."""
    return INT32_MAX // largest_product // positions


def _check(what: str, terms: int, a: IntTensor, b: IntTensor) -> None:
    require_int32(what, terms, a.format.high * b.format.high, FEWER_CHANNELS)


def _check_batch(error: IntTensor, x: IntTensor) -> None:
    """A weight gradient adds one product for every image and position of the error."""
    positions, product = prod(error.shape[2:]), error.format.high * x.format.high
    advice = f"use batches of at most {largest_batch(positions, product)} images"
    require_int32("weight gradient", error.shape[0] * positions, product, advice)
