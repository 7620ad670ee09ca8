"""What the finished blocks give the block in training: cached once where that pays."""

from dataclasses import dataclass

import psutil
import torch
from torch import Tensor

from blockwise.blocks import BlockNet
from blockwise.data import Normalize, Split, batches

CODEBOOK_SIZE = 256
"""Values that one byte can name."""

BYTES_WHILE_CODING = 24
"""Per element while a cache is made: floats in parts, whole and sorted, 64-bit indices, codes."""

SHARE_OF_FREE_MEMORY = 0.5
"""Part of this computer's free memory that a cache may take."""


@dataclass(frozen=True)
class FeatureCache:
    """Outputs of the finished blocks for every training image, by index.

    Quantized outputs take few values: they are kept as one byte each (N, ...) with the values in
    ``codebook`` (at most 256,), and come back to the bit.
    """

    codes: Tensor
    codebook: Tensor | None

    def take(self, index: Tensor) -> Tensor:
        """Features float32 (B, ...) of the samples ``index`` (B,)."""
        rows = self.codes[index.to(self.codes.device)]
        return rows if self.codebook is None else self.codebook[rows.int()]


def pays(net: BlockNet, index: int, split: Split, epochs: int, *, augmented: bool) -> bool:
    """Whether to cache the input of block ``index``: it stays the same, is reused, and has room."""
    if index == 0 or augmented or epochs < 2:
        return False
    with torch.no_grad():
        device = next(net.parameters()).device
        one = torch.zeros(1, *split.images.shape[1:], device=device)
        elements = net.run(one, 0, index).numel()
    needed = len(split) * elements * BYTES_WHILE_CODING
    return bool(needed < SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available)


def cache_features(
    net: BlockNet, index: int, split: Split, batch_size: int, normalize: Normalize
) -> FeatureCache:
    """Run the blocks before ``index`` (in evaluation mode) over a whole split, once."""
    device = next(net.parameters()).device
    with torch.no_grad():
        parts = [
            net.run(x, 0, index) for x, _ in batches(split, batch_size, normalize=normalize, device=device)
        ]
    features = torch.cat(parts).contiguous()
    codebook = features.unique()
    if len(codebook) > CODEBOOK_SIZE:
        return FeatureCache(features, None)
    return FeatureCache(torch.searchsorted(codebook, features).to(torch.uint8), codebook)
