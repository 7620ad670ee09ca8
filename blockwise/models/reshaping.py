"""Modules for what people write as functions of tensors: a reshape, a border, a maximum over a whole map."""

from torch import Tensor, nn
from torch.nn import functional as F


class Reshape(nn.Module):
    """(B, ...) -> (B, *shape), the same elements in the same order."""

    op_kind = "view"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Moves nothing."""
        return x.reshape(len(x), *self.shape)


class Padding(nn.Module):
    """A border of ``padding``, as torch.nn.functional.pad has it: the last dimension first."""

    op_kind = "pad"

    def __init__(self, padding: tuple[int, ...], mode: str = "constant") -> None:
        super().__init__()
        self.padding, self.mode = padding, mode

    def forward(self, x: Tensor) -> Tensor:
        """A larger map."""
        return F.pad(x, self.padding, self.mode)
