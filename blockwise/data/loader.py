"""Batches of a split, reproducible from (seed, epoch) alone.

Nothing is carried from one epoch to the next, so a run that was interrupted and starts again at
epoch e sees the very bits that it would have seen.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor

from blockwise.data.samples import Split
from blockwise.data.signal_augment import Augmentation

ToInput = Callable[[Tensor], Tensor]
"""Makes a network's input of uint8 images (B, C, H, W), signals (B, C, L) or features (B, F)."""

_MASK = (1 << 64) - 1
_PERMUTATION_STREAM = 0
_FIRST_BATCH_STREAM = 1


def generator(seed: int, epoch: int, stream: int = 0) -> Generator:
    """A CPU generator that depends on (seed, epoch, stream) only.

    ``batches`` draws its order from stream 0 and augments batch i from stream i + 1.
    """
    state = 0
    for value in (seed, epoch, stream):
        state = _splitmix64((state + value) & _MASK)
    # The CPU's Mersenne Twister is seeded from the low 32 bits only, so a plain seed * k + epoch
    # would collide; splitmix64 spreads every input bit over them.
    return Generator().manual_seed(state)


def _splitmix64(state: int) -> int:
    """One output of splitmix64 (Steele, Lea & Flood 2014, figure 17)."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def permutation(n: int, seed: int, epoch: int) -> Tensor:
    """The order of n samples in one epoch, int64 (n,)."""
    return torch.randperm(n, generator=generator(seed, epoch, _PERMUTATION_STREAM))


def batch_count(n: int, batch_size: int, *, drop_last: bool) -> int:
    """Batches in one epoch of n samples; ``drop_last`` drops an incomplete one beside full ones."""
    full, rest = divmod(n, batch_size)
    return full if rest == 0 or (drop_last and full) else full + 1


def batch_indices(
    n: int, batch_size: int, *, seed: int, epoch: int, shuffle: bool, drop_last: bool
) -> Iterator[Tensor]:
    """The sample indices, int64 (B,), of each batch that ``batches`` yields for n samples."""
    order = permutation(n, seed, epoch) if shuffle else torch.arange(n)
    for i in range(batch_count(n, batch_size, drop_last=drop_last)):
        yield order[i * batch_size : (i + 1) * batch_size]


def batches(
    split: Split,
    batch_size: int,
    *,
    normalize: ToInput,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = False,
    augment: Augmentation | None = None,
    drop_last: bool = False,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of (images float32 (B, *in_shape), labels int64 (B,)) on ``device``."""
    order = batch_indices(
        len(split), batch_size, seed=seed, epoch=epoch, shuffle=shuffle, drop_last=drop_last
    )
    for i, index in enumerate(order):
        batch = split.select(index.to(split.images.device, non_blocking=True)).to(device)
        images = batch.images
        if augment:
            images = augment(images, generator(seed, epoch, _FIRST_BATCH_STREAM + i))
        yield normalize(images), batch.labels
