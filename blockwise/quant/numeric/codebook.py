"""What methods share whose levels are rows of a trained table, each for a block of weights."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from blockwise.quant.numeric.nearest import tally
from blockwise.quant.quantizer import FLOAT_BITS, Quantizer


class _LookUp(torch.autograd.Function):
    """Rows of ``table`` (k, d) at ``index`` (n,), in the shape of ``x``.

    The gradient passes to ``x`` unchanged; that of a row is the mean of its members'.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.count, ctx.width = table.shape
        return table.index_select(0, index).view(x.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (g,), (index,) = grads, ctx.saved_tensors
        counts, sums = moments(g.reshape(-1, ctx.width), index, ctx.count)
        return g, (sums / counts.clamp_min(1)).to(g.dtype), None


def moments(x: Tensor, index: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Sizes (count, 1) and sums (count, d) of the clusters that the rows x (n, d) are in, float64."""
    width = x.shape[1]
    cells = (index[:, None] * width + torch.arange(width, device=x.device)).view(-1)
    return tally(index, count)[:, None], tally(cells, count * width, x.reshape(-1)).view(count, width)


def split(table: Tensor, counts: Tensor, halves: Tensor) -> Tensor:
    """``table`` (k, d) with empty clusters filled: each takes one half of a cluster that is spread out.

    ``counts`` (k, 2, 1) are the sizes of every cluster's halves, ``halves`` (k, 2, d) their means. The
    clusters are split in whom that lessens the square error most, by sum n |half - row|^2. (The paper
    splits the largest cluster, by noise; this needs none and never adds to the error.) Where all
    members of each cluster are in one place, empty ones stay.
    """
    empty = counts.sum(dim=(1, 2)) == 0
    gain = (counts * (halves - table[:, None]).square()).sum(dim=(1, 2))
    gain = torch.where(counts.amin(dim=(1, 2)) > 0, gain, 0)
    rank = (empty.long().cumsum(0) - 1).clamp_min(0)
    donor = gain.argsort(descending=True, stable=True)[rank]
    takes = empty & (gain[donor] > 0)
    gives = torch.zeros_like(gain).index_add_(0, donor, takes.to(gain.dtype)) > 0
    filled = torch.where(takes[:, None], halves[donor, 1].to(table.dtype), table)
    return torch.where(gives[:, None], halves[:, 0].to(table.dtype), filled)


def fill(table: Tensor, blocks: Tensor, index: Tensor) -> Tensor:
    """:func:`split` of ``table`` (k, d), whose row ``index`` (n,) each of ``blocks`` (n, d) belongs to.

    Halves lie below and above the members' mean in the dimension in which they deviate most from it.
    """
    count, width = table.shape
    sizes, sums = moments(blocks, index, count)
    offsets = blocks - (sums / sizes.clamp_min(1)).to(blocks).index_select(0, index)
    axis = moments(offsets.abs(), index, count)[1].argmax(dim=1)
    above = offsets.gather(1, axis[index, None]).squeeze(1) > 0
    counts, sums = moments(blocks, 2 * index + above, 2 * count)
    halves = sums / counts.clamp_min(1)
    return split(table, counts.view(count, 2, 1), halves.view(count, 2, width))


class Codebook(Quantizer):
    """Every block of d weights takes the nearest of the 2^b rows of a trained ``codebook`` (2^b, d).

    In training each forward pass first splits clusters to fill empty ones, unless it is repeated.
    """

    needs_data = True
    codebook: nn.Parameter

    def configure(self, bits: int) -> None:
        """Resize the codebook, which stays the same parameter, for an optimizer holds on to it.

        At 32 bits it waits as it is. The optimizer's state is for the old size, and to be dropped.
        """
        super().configure(bits)
        if bits == FLOAT_BITS:
            return
        fresh = torch.zeros(1 << bits, self.block)
        if "codebook" not in self._parameters:
            self.codebook = nn.Parameter(fresh)
        elif self.codebook.shape != fresh.shape:
            self.codebook.data, self.codebook.grad = fresh.to(self.codebook), None

    @property
    def block(self) -> int:
        """Weights to a row."""
        return 1

    @abstractmethod
    def cluster(self, blocks: Tensor) -> Tensor:
        """A codebook (2^b, d) for all blocks (n, d) of the first weights."""

    @staticmethod
    @abstractmethod
    def assign(blocks: Tensor, table: Tensor) -> Tensor:
        """The numbers (n,) of the rows of ``table`` (k, d) that are nearest to ``blocks`` (n, d)."""

    def deployed(self) -> Tensor:
        """The codebook in the order of the codes."""
        return self.codebook

    def initialise(self, x: Tensor) -> None:
        """Cluster the first weights."""
        self.codebook.copy_(self.cluster(x.reshape(-1, self.block)))

    def quantize(self, x: Tensor) -> Tensor:
        """Quantize weights of any shape."""
        blocks = x.detach().reshape(-1, self.block)
        if self.training and self.tracks:
            self._fill(blocks)
        table = self.codebook.to(x.dtype)
        return _LookUp.apply(x, table, self.assign(blocks, table.detach()))  # type: ignore[no-any-return]

    @torch.no_grad()
    def _fill(self, blocks: Tensor) -> None:
        table = self.codebook.detach().to(blocks.dtype)
        self.codebook.copy_(fill(table, blocks, self.assign(blocks, table)))

    def codes(self, x: Tensor) -> Tensor:
        """The number of each block's row; in the shape of ``x`` if blocks are single weights."""
        index = self.assign(x.reshape(-1, self.block), self.deployed().to(x.dtype)).long()
        return index.view(x.shape) if self.block == 1 else index

    def constants(self, x: Tensor) -> dict[str, Tensor]:
        """The codebook."""
        return {"codebook": self.deployed()}

    @classmethod
    def decode(
        cls, codes: Tensor, constants: Mapping[str, Tensor], bits: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The rows, one after the other."""
        return constants["codebook"].index_select(0, codes.reshape(-1)).view(shape)
