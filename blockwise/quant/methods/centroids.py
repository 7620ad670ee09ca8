"""Scalar centroids: "And the bit goes down" (Stock et al. 2020, arXiv 1907.05686) at block size 1."""

import torch
from torch import Tensor

from blockwise.quant.numeric.codebook import Codebook, split
from blockwise.quant.numeric.nearest import nearest
from blockwise.quant.quantizer import Method
from devices.network.bits import QuantizerMemory

ITERATIONS = 200
"""At most so many of Lloyd's; most tensors settle earlier."""


class Centroids(Codebook):
    """Every weight takes the nearest of 2^b trained values.

    They start from Lloyd's iterations on the first weights (Lloyd 1982, Max 1960). The gradient
    passes to the latent weights unchanged; a centroid's is the mean of its members', not the sum.
    Empty clusters are filled in the set-up and in every training step. First and last layers stay in
    float, as in LQ-Net.
    """

    def cluster(self, blocks: Tensor) -> Tensor:
        """Lloyd's iterations."""
        values = blocks.reshape(-1).double().sort().values
        return lloyd(values, 1 << self.bits)[:, None]

    @staticmethod
    def assign(blocks: Tensor, table: Tensor) -> Tensor:
        """The nearest, between thresholds midway."""
        levels, order = table[:, 0].sort(stable=True)
        return order.index_select(0, nearest(blocks.view(1, -1), levels[None]).view(-1))

    def deployed(self) -> Tensor:
        """Ascending, so that larger codes mean larger weights."""
        return self.codebook.sort(dim=0, stable=True).values

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The centroids; which of them a weight belongs to is its code.

        The mean that moves one is over all weights of the layer.
        """
        return QuantizerMemory(trained=1 << bits, packed=1 << bits, by_filter=False)


def lloyd(values: Tensor, count: int) -> Tensor:
    """``count`` ascending centroids of ascending ``values`` (n,): each the mean of those nearest to it.

    Sums up to every position give the moments of all clusters at once.
    """
    centroids = spread_out(values, count)
    sums = torch.cat([values.new_zeros(1), values.cumsum(0)])
    for _ in range(ITERATIONS):
        middles = (centroids[1:] + centroids[:-1]) / 2
        ends = torch.searchsorted(values, middles, right=True)
        ends = torch.cat([ends.new_zeros(1), ends, ends.new_tensor([len(values)])])
        means = torch.where(ends.diff() > 0, sums[ends].diff() / ends.diff(), centroids)
        inner = torch.searchsorted(values, means).clamp(ends[:-1], ends[1:])
        cuts = torch.stack([ends[:-1], inner, ends[1:]], dim=1)  # a cluster's halves
        counts = cuts.diff(dim=1)
        halves = sums[cuts].diff(dim=1) / counts.clamp_min(1)
        found = split(means[:, None], counts[..., None], halves[..., None]).view(-1).sort().values
        if torch.equal(found, centroids):
            break
        centroids = found
    return centroids


def spread_out(values: Tensor, count: int) -> Tensor:
    """``count`` of the ascending ``values`` (n,), about as dense as their best centroids.

    Those are dense as the cube root of the values' density p (Panter & Dite 1951). With gaps
    dx = 1 / (n p), their number grows by p^(1/3) dx, that is as dx^(2/3), from value to value. Equal
    parts of the values instead would leave too few centroids where values are rare.
    """
    number = torch.cat([values.new_zeros(1), values.diff().pow(2 / 3).cumsum(0)])
    parts = (torch.arange(count).to(values) + 0.5) / count
    return values[torch.searchsorted(number, parts * number[-1]).clamp_max(len(values) - 1)]


METHOD = Method(
    "centroids",
    "any 2^b values, trained",
    "Stock et al. 2020, arXiv 1907.05686, block size 1",
    "centroids",
    Centroids,
    None,
    edge_bits=32,
    weight_bits=tuple(range(1, 9)),
    partner="lsq",
)
