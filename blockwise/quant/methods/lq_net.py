"""LQ-Nets: levels that are sums of learned bases (Zhang et al. 2018, arXiv 1807.10029)."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from blockwise.quant.numeric.nearest import lookup, nearest, rows, tally, unrows
from blockwise.quant.quantizer import FLOAT_BITS, Method, Quantizer
from devices.network.bits import QuantizerMemory

MOMENTUM = 0.9
"""Share of the old basis in the new one."""

EPSILON = 1e-4
"""Keeps the least squares solvable, and the basis where it is as far as the data say nothing."""

UPPER_QUARTILE = 0.6745
"""Of the standard normal distribution; the bases start from it."""


class _BasisLookUp(torch.autograd.Function):
    """The levels at ``index``; the gradient passes, but where ``x`` is below 0 or above ``top``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, levels: Tensor, index: Tensor, top: Tensor | None) -> Tensor:
        if top is not None:
            ctx.save_for_backward(x, top)
        return unrows(lookup(levels.reshape(-1), index), x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (g,) = grads
        if not ctx.saved_tensors:
            return g, None, None, None
        x, top = ctx.saved_tensors
        inside = x.relu()  # one new map, and no bools: both cost more than all that is computed here
        torch.minimum(inside, top, out=inside)
        torch.eq(inside, x, out=inside)
        return inside.mul_(g), None, None, None


class _LQNet(Quantizer):
    """The nearest of the levels B v, where B is any code of b bits and v (b,) a basis.

    In training, each forward pass quantizes by the basis as it is, and then moves it towards the one that
    fits the data x best at these codes, for the passes to come and for evaluation:
    v <- 0.9 v + 0.1 (B^T B + eps I)^-1 (B^T x + eps v). (So the authors' code; eps, which it has for
    weights, keeps activations solvable too.) It is no parameter: no gradient reaches it. Every output
    channel of the weights has a basis of its own; so ``basis`` is (G, b), with G = 1 for activations.
    """

    follows = True
    bit_values: ClassVar[tuple[int, int]]  # what the bits of a code stand for
    basis: Tensor
    used: Tensor  # the basis of the last pass that moved it: a pass that is repeated needs it again

    def configure(self, bits: int) -> None:
        """Start the bases, which have another length at another width."""
        super().configure(bits)
        groups = self.shape[0] if self.shape else 1
        doubling = 2.0 ** torch.arange(bits if bits < FLOAT_BITS else 0)
        basis = (self.start(bits) * doubling).repeat(groups, 1)
        basis = basis.to(getattr(self, "basis", basis))
        self.register_buffer("basis", basis)
        self.register_buffer("used", basis.clone(), persistent=False)

    @abstractmethod
    def start(self, bits: int) -> float:
        """The first element of a basis; each further one starts at twice the one before."""

    def values(self, x: Tensor) -> Tensor:
        """What the levels are to come near to (G, n)."""
        return rows(x.detach(), len(self.basis))

    def top(self, levels: Tensor) -> Tensor | None:
        """Where gradients end, if anywhere, given ascending levels (G, 2^b)."""
        return None

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize ``x`` of any shape; weights have the output channel first."""
        if self.training and self.tracks:
            self.used.copy_(self.basis)
        values = self.values(x)
        levels, order = self._ascending(self.used if self.training else self.basis, x)
        index = nearest(values, levels)
        if self.training and self.tracks:
            self._follow(values, index, order)
        return _BasisLookUp.apply(x, levels, index, self.top(levels))  # type: ignore[no-any-return]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.used.copy_(self.basis)

    @torch.no_grad()
    def _follow(self, values: Tensor, index: Tensor, order: Tensor) -> None:
        """Move the bases towards those that fit ``values`` best at the levels that ``index`` tells.

        How many values are at each level, and their sum, is all that the least squares need, in
        float64: where the data use few levels eps decides, and would vanish beside large counts.
        """
        flat, shape, size = index.view(-1), (*order.shape, 1), order.numel()
        counts, sums = tally(flat, size).view(shape), tally(flat, size, values.reshape(-1)).view(shape)
        codes = _patterns(self.bits, self.bit_values, counts)[order]  # (G, 2^b, b)
        basis = self.basis.double()[..., None]
        eye = torch.eye(self.bits, dtype=counts.dtype, device=counts.device)
        matrix = codes.mT @ (counts * codes) + EPSILON * eye
        best, _ = torch.linalg.solve_ex(matrix, codes.mT @ sums + EPSILON * basis)
        self.basis.copy_((MOMENTUM * basis + (1 - MOMENTUM) * best).squeeze(2))

    def _ascending(self, basis: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Levels (G, 2^b) of ``basis`` from the lowest, in the type of ``x``, and their codes."""
        levels, order = _levels(basis, self.bit_values).sort(dim=1)
        return levels.to(x.dtype), order

    def codes(self, x: Tensor) -> Tensor:
        """Codes 0 .. 2^bits - 1: bit j is that of the basis' element j."""
        levels, order = self._ascending(self.basis, x)
        return unrows(lookup(order.reshape(-1), nearest(self.values(x), levels)), x)

    def board_codes(self, x: Tensor) -> Tensor:
        """By the basis of this pass, from which the present one has moved."""
        levels, order = self._ascending(self.used, x)
        return unrows(lookup(order.reshape(-1), nearest(self.values(x), levels)), x)

    def decode_activations(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """By the basis of this pass, the latter of the two."""
        assert levels is not None
        return _levels(levels[-self.bits :].view(1, -1), self.bit_values)[0][codes]

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The bases."""
        return {"basis": self.basis}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """Sums of the elements of the bases, each times what its bit stands for."""
        levels = _levels(constants["basis"], cls.bit_values)
        return levels.gather(1, codes.reshape(len(levels), -1)).view(shape)


def _patterns(bits: int, values: tuple[int, int], like: Tensor) -> Tensor:
    """What the bits of each code stand for (2^b, b)."""
    low, high = values
    place = torch.arange(bits, device=like.device)
    ones = torch.arange(1 << bits, device=like.device)[:, None] >> place & 1
    return (ones * (high - low) + low).to(like.dtype)


def _levels(basis: Tensor, values: tuple[int, int]) -> Tensor:
    """The level of every code (G, 2^b).

    Summed in the order of the bits: a matrix product may round differently on another machine.
    """
    bits = basis.shape[1]
    patterns = _patterns(bits, values, basis)
    total = basis[:, :1] * patterns[:, 0]
    for bit in range(1, bits):
        total = total + basis[:, bit : bit + 1] * patterns[:, bit]
    return total


class LQNetWeight(_LQNet):
    """Bits are -1 and +1. The gradient passes unchanged."""

    symmetric = True
    elementwise = False
    bit_values = (-1, 1)

    def start(self, bits: int) -> float:
        """By the standard deviation sqrt(2 / (kernel positions x output channels)) of He et al. 2015."""
        fan_out = max(math.prod(self.shape[2:]) * math.prod(self.shape[:1]), 1)
        return UPPER_QUARTILE * math.sqrt(2 / fan_out) / (1 << bits - 1)

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """A basis per output channel; in training also the one from which it has moved in this pass."""
        return QuantizerMemory(kept=2 * bits, packed=bits, per_channel=True)


class LQNetActivation(_LQNet):
    """Bits are 0 and 1, and a ReLU comes first. The gradient passes up to the highest level."""

    bit_values = (0, 1)

    def start(self, bits: int) -> float:
        """By values of variance 1, as batch norms give them."""
        return UPPER_QUARTILE * 2 / ((1 << bits) - 1)

    def values(self, x: Tensor) -> Tensor:
        """Activations (1, n) behind the ReLU."""
        return super().values(x).relu()

    def top(self, levels: Tensor) -> Tensor:
        """The highest level."""
        return levels[0, -1]

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """One basis; in training also the one before it moved, by which the codes of this pass are read."""
        return QuantizerMemory(kept=2 * bits, packed=bits, levels=bits)


METHOD = Method(
    "lq-net",
    "sums of learned bases, one per output channel",
    "Zhang et al. 2018, arXiv 1807.10029",
    "centroids",
    LQNetWeight,
    LQNetActivation,
    edge_bits=32,
    weight_bits=(1, 2, 3, 4),
    activation_bits=(1, 2, 3, 4),
    residual="float",  # microsoft/LQ-Nets, resnet_model.py
)
