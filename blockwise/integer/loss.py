"""Softmax cross entropy by powers of two, after NITI (Wang et al. 2020, arXiv 2009.13108), on integers.

NITI's scheme: p_i proportional to 2^z_i - 1 with z_i = max(z'_i - max z' + 10, 0) and z' = o log2(e)
2^e; probabilities times 2^11, whose sum is taken off the target; a rounding shift by 4. Its code ran in
floating point. Here z has 12 fractional bits and 2^z is a polynomial, all in 32 bits, so that the
form for small exponents that NITI adds is not needed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.integer.rounding import Rounding, pseudo_stochastic
from blockwise.integer.tensor import INT8, IntTensor
from devices.errors import InputError

ONE = 1 << 12
"""1 in the fixed point of z."""
LOG2_E = 47274
"""log2(e) x 2^15."""
OFFSET = 10 * ONE
"""z of the largest logit; what is 10 or more below it, a thousandth as likely, counts as impossible."""
FARTHEST = (1 << 18) - 1
"""Just below 64: no distance is counted as more."""
EXP2_SLOPE = 2709
"""a of 2^f ~ 1 + f (a + (1 - a) f), times 2^12: within 0.28 %, and exact at f = 0 and 1."""
LOG2_BULGE = 1423
"""c of log2(1 + f) ~ f + c f (1 - f), times 2^12: within 0.008, and exact at f = 0 and 1."""
P_BITS = 8
"""Fractional bits of 2^z - 1, which is then at most 1023 x 2^8: times 2^11 it fits 32 bits."""
G_BITS = 11
"""Of the probability in the gradient before its rounding shift."""
SHIFT = 4
ERROR_EXPONENT = SHIFT - G_BITS
MOST_CLASSES = ((1 << 31) - 1) // (1 << 10 + P_BITS)
"""The sum of that many 2^z fits 31 bits."""


@dataclass(frozen=True, eq=False)
class Loss:
    """The gradient of the loss by the logits, int8 (B, C), and for each image the loss in 2^-12 bits."""

    error: IntTensor
    losses: Tensor  # int32 (B,), 0 .. 78 x 2^12


def cross_entropy(logits: IntTensor, labels: Tensor, rounding: Rounding = pseudo_stochastic) -> Loss:
    """Of logits (B, C) and labels (B,); the error is softmax - one-hot, times 2^7."""
    if logits.shape[1] > MOST_CLASSES:
        raise InputError(
            "integer softmax", got=f"{logits.shape[1]} classes", wanted=f"at most {MOST_CLASSES}",
            do="use fewer classes: their sum must fit 32 bits",
        )  # fmt: skip
    distance, target = _distances(logits), labels.view(-1, 1)
    p = _powers((OFFSET - distance).clamp_min_(0))
    total = p.sum(1, keepdim=True, dtype=torch.int32)
    g = _minus_target(torch.div(p << G_BITS, total, rounding_mode="floor"), target)
    error = rounding(g, SHIFT).clamp_(INT8.low, INT8.high).to(torch.int8)
    losses = _log2(total + (1 << P_BITS)) - (10 + P_BITS) * ONE + distance.gather(1, target)
    return Loss(IntTensor(error, ERROR_EXPONENT), losses.view(-1))


def predicted(logits: IntTensor) -> Tensor:
    """The first of the largest logits of each image, int64 (B,)."""
    return logits.mantissa.argmax(1)


def _distances(logits: IntTensor) -> Tensor:
    """(max o - o) log2(e) 2^exponent with 12 fractional bits, rounded down, at most FARTHEST; int32."""
    o = logits.mantissa.to(torch.int32)
    distance = (o.amax(1, keepdim=True) - o) * LOG2_E  # below 2^24
    shift = logits.exponent + 12 - 15
    if isinstance(shift, Tensor):  # of each image
        left, right = shift.clamp(0, 3), (-shift).clamp(0, 31)
        return ((distance << left.view(-1, 1)) >> right.view(-1, 1)).clamp_max_(FARTHEST)
    if shift < 0:
        return distance.bitwise_right_shift_(min(-shift, 31)).clamp_max_(FARTHEST)
    return distance.bitwise_left_shift_(min(shift, 3)).clamp_max_(FARTHEST)  # 47274 x 2^3 > FARTHEST


def _powers(z: Tensor) -> Tensor:
    """2^z - 1 with 8 fractional bits, of z with 12."""
    whole, f = z >> 12, z & ONE - 1
    mantissa = ONE + (f * (EXP2_SLOPE + ((ONE - EXP2_SLOPE) * f >> 12)) >> 12)
    return ((mantissa << whole) >> 12 - P_BITS) - (1 << P_BITS)


def _minus_target(g: Tensor, target: Tensor) -> Tensor:
    """Take what all classes have together off the target: then they sum to zero."""
    return g.scatter_add(1, target, -g.sum(1, keepdim=True, dtype=torch.int32))


def _log2(x: Tensor) -> Tensor:
    """log2 with 12 fractional bits, of int32 x >= 2^12."""
    whole = torch.zeros_like(x)
    for half in (16, 8, 4, 2, 1):  # a board counts leading zeros
        whole += ((x >> whole + half) > 0) * half
    f = (x >> whole - 12) & ONE - 1
    return (whole << 12) + f + (LOG2_BULGE * (f * (ONE - f) >> 12) >> 12)
