"""What the finished blocks give the block in training: cached once where that pays.

Whether it is cached follows from the configuration alone, and changes no bit of the training.
"""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from blockwise.data import Split, ToInput
from blockwise.layers.strided import thin
from blockwise.nets.trainable import TrainableNet

Module = TypeVar("Module", bound=nn.Module)

LAYOUT = torch.channels_last
"""Convolutions of images are fastest on it, on processors and accelerators alike."""

MAP = 4
"""Dimensions of what has it: (B, C, H, W), and weights of such. Volumes lie as PyTorch lays them."""

CODEBOOK_SIZE = 256
"""Values that one byte can name."""

BYTES_WHILE_CODING = 8
"""Per element while a cache is made, at most: floats in parts and whole, or floats and codes."""

LARGEST_BYTES = 2 << 30
"""What making a cache may take: a limit that every computer has in common."""


BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
"""The integers of as many bits as a feature has."""


@dataclass(frozen=True)
class FeatureCache:
    """Outputs of the finished blocks for every training image, by index.

    Quantized outputs take few values: they are kept as one byte each (N, ...) with the values in
    ``codebook`` (at most 256,), and come back to the bit.
    """

    codes: Tensor
    codebook: Tensor | None  # as their bits, integers: 0 and -0 are two
    dtype: torch.dtype = torch.float32  # of the features: bf16 where maps are kept so

    def take(self, index: Tensor) -> Tensor:
        """Features (B, ...) of the samples ``index`` (B,)."""
        rows = self.codes[index.to(self.codes.device, non_blocking=True)]
        return laid_out(rows if self.codebook is None else self.codebook[rows.int()].view(self.dtype))


def in_layout(net: Module) -> Module:
    """``net`` itself, with its weights in :data:`LAYOUT`, and without what PyTorch computes wrongly in it."""
    thin(net)
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.ndim == MAP:
            tensor.data = tensor.data.to(memory_format=LAYOUT)
    return net


def laid_out(x: Tensor) -> Tensor:
    """``x`` in :data:`LAYOUT` if it has maps: what a norm sums in which order hangs on the layout."""
    return x.contiguous(memory_format=LAYOUT) if x.ndim == MAP else x


def pays(net: TrainableNet, index: int, split: Split, epochs: int, *, augmented: bool) -> bool:
    """Whether to cache the input of block ``index``: it stays the same, is reused, and has room."""
    if index == 0 or augmented or epochs < 2 or not net.alone:
        return False
    elements = _elements(net, index, split.images.shape[1:])
    return bool(len(split) * elements * BYTES_WHILE_CODING <= LARGEST_BYTES)


def _elements(net: TrainableNet, index: int, shape: torch.Size) -> int:
    """That the blocks before ``index`` give for an image; of shapes alone, no constant is chosen by it."""
    parts = zip(net.bodies[:index], net.tails[:index], strict=True)
    front = nn.Sequential(*(part for pair in parts for part in pair))
    state = {name: t.to("meta") for name, t in (*front.named_parameters(), *front.named_buffers())}
    with torch.no_grad():
        return int(functional_call(front, state, torch.empty(1, *shape, device="meta")).numel())


def cache_features(
    net: TrainableNet, index: int, split: Split, batch_size: int, inputs: ToInput
) -> FeatureCache:
    """Run the blocks before ``index`` (in evaluation mode) over a whole split, once.

    In batches of the size that training has, for which the same kernels are chosen: the last overlaps
    the one before it.
    """
    device, count = next(net.parameters()).device, len(split)
    size, parts = min(batch_size, count), []
    for end in range(size, count + size, size):
        first = min(end, count) - size
        images = split.images[first : first + size].to(device)
        with torch.no_grad():
            out = net.run(laid_out(inputs(images)), 0, index)
        parts.append(out[max(0, end - count) :].contiguous().view(BITS[out.dtype]))
    codebook = _codebook(parts)
    if codebook is None:
        return FeatureCache(torch.cat(parts).view(out.dtype), None, out.dtype)
    coded = [torch.searchsorted(codebook, part).to(torch.uint8) for part in parts]
    return FeatureCache(torch.cat(coded), codebook, out.dtype)


def _codebook(parts: list[Tensor]) -> Tensor | None:
    """All values of ``parts`` in ascending order, unless they are too many."""
    found = parts[0].unique()
    for part in parts[1:]:
        if len(found) > CODEBOOK_SIZE:
            return None
        found = torch.cat([found, part.unique()]).unique()
    return found if len(found) <= CODEBOOK_SIZE else None
