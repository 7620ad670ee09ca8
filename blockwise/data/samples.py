"""Samples with their labels and, where that is known, whose they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

RANKS = (1, 2, 3)
"""Of one sample: features (F,), signals (C, L), images (C, H, W)."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs ``images`` (N, F), (N, C, L) or (N, C, H, W) as their source has them, labels int64 (N,).

    They are uint8, or float32 that is yet to be scaled to it. ``groups`` int64 (N,) numbers the people,
    machines or recordings that samples come from: those of one group belong in one split.
    """

    images: Tensor
    labels: Tensor
    groups: Tensor | None = None
    recordings: Tensor | None = None

    def __post_init__(self) -> None:
        self._check_images()
        for name in ("labels", "groups", "recordings"):
            numbers = getattr(self, name)
            if numbers is not None and (
                numbers.dtype != torch.int64 or numbers.shape != self.images.shape[:1]
            ):
                shape = tuple(numbers.shape)
                raise ValueError(f"{name}: got {numbers.dtype} {shape}, wanted int64 (N,)")

    def _check_images(self) -> None:
        if self.images.dtype not in self._kinds() or self.images.ndim - 1 not in RANKS:
            shape, kinds = tuple(self.images.shape), " or ".join(str(kind)[6:] for kind in self._kinds())
            wanted = f"{kinds} (N, C, H, W), (N, C, L) or (N, F)"
            raise ValueError(f"images: got {self.images.dtype} {shape}, wanted {wanted}")

    @classmethod
    def _kinds(cls) -> tuple[torch.dtype, ...]:
        return (torch.uint8, torch.float32)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: Tensor) -> Self:
        """The samples at ``index``, int64 (M,), as new ones (a copy)."""
        return self._each(lambda tensor: tensor.index_select(0, index))

    def to(self, device: torch.device | str) -> Self:
        """The same samples on ``device``; a set may live in an accelerator's memory."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, made: Callable[[Tensor], Tensor]) -> Self:
        groups, recordings = (None if t is None else made(t) for t in (self.groups, self.recordings))
        return type(self)(made(self.images), made(self.labels), groups, recordings)


class Split(Samples):
    """Samples of 8 bits, as networks, boards and augmentation take them."""

    @classmethod
    def _kinds(cls) -> tuple[torch.dtype, ...]:
        return (torch.uint8,)
