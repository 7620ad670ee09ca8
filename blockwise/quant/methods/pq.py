"""Product quantization of weights: "And the bit goes down" (Stock et al. 2020, arXiv 1907.05686)."""

import math

import torch
from torch import Tensor

from blockwise.quant.numeric.codebook import Codebook, fill, moments
from blockwise.quant.quantizer import Method
from devices.network.bits import QuantizerMemory
from devices.network.ops import weights_to_a_code

ITERATIONS = 25
"""At most so many of k-means in the set-up."""

CHUNK = 1 << 15
"""Blocks that are compared with the codebook at a time: with 2^8 codewords that takes 32 MiB."""


class ProductQuantizer(Codebook):
    """Every block of weights takes the nearest of 2^b trained codewords: b are the bits of a block.

    A block is a kernel, 3 x 3 weights for example, or 4 neighbouring weights where a kernel has one
    position (1 if an output has no multiple of 4). Codewords start from k-means on the first weights.
    The gradient passes to the latent weights unchanged; a codeword's is the mean of its members', not
    the sum. Empty clusters are filled in the set-up and in every training step. The paper weighs
    distances by the layer's inputs X, ||X (M - c)||^2; a quantizer of weights sees none: X = 1 here.
    First and last layers stay in float.
    """

    elementwise = False

    @property
    def block(self) -> int:
        """Weights to a code, as the plan counts them."""
        return weights_to_a_code(math.prod(self.shape[1:]), math.prod(self.shape[2:]))

    @staticmethod
    def assign(blocks: Tensor, table: Tensor) -> Tensor:
        """The least |c|^2 / 2 - x c, which is the square distance up to |x|^2.

        Both are scaled first, so that no square leaves the range of floats.
        """
        wide = torch.promote_types(blocks.dtype, torch.float32)
        x, c = blocks.to(wide), table.to(wide)
        largest = c.abs().amax()
        scale = torch.where(largest > 0, largest, 1)
        c = c / scale
        squares, rows = c.square().sum(dim=1), c.T
        parts = (part / scale for part in x.split(CHUNK))
        return torch.cat([torch.addmm(squares, x, rows, beta=0.5, alpha=-1).argmin(dim=1) for x in parts])

    def cluster(self, blocks: Tensor) -> Tensor:
        """k-means, from blocks at equal distances in the order of their sums."""
        count = 1 << self.bits
        places = (torch.arange(count, device=blocks.device) + 0.5) * len(blocks) / count
        table = blocks[blocks.sum(dim=1).argsort(stable=True)[places.long()]]
        for _ in range(ITERATIONS):
            index = self.assign(blocks, table)
            counts, sums = moments(blocks, index, count)
            means = torch.where(counts > 0, (sums / counts).to(table), table)
            found = fill(means, blocks, index)
            if torch.equal(found, table):
                break
            table = found
        return table

    @classmethod
    def memory(cls, bits: int) -> QuantizerMemory:
        """The codewords; one code stands for a block. The mean that moves one is over the whole layer."""
        return QuantizerMemory(trained=1 << bits, packed=1 << bits, by_filter=False, blocks=True)


METHOD = Method(
    "pq",
    "any 2^b blocks of weights, trained",
    "Stock et al. 2020, arXiv 1907.05686",
    "centroids",
    ProductQuantizer,
    None,
    edge_bits=32,
    weight_bits=tuple(range(4, 9)),
    partner="lsq",
)
