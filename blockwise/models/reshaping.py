"""Modules for what people write as functions of tensors: a reshape, a border, a part of a map."""

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


class Slice(nn.Module):
    """Of each dimension behind the batch ``sizes`` elements from ``starts`` on, every ``steps``-th."""

    op_kind = "slice"

    def __init__(self, starts: tuple[int, ...], sizes: tuple[int, ...], steps: tuple[int, ...]) -> None:
        super().__init__()
        self.starts, self.sizes, self.steps = starts, sizes, steps

    def forward(self, x: Tensor) -> Tensor:
        """Moves nothing."""
        for dim, (start, size, step) in enumerate(zip(self.starts, self.sizes, self.steps, strict=True), 1):
            if start or size != x.shape[dim]:
                x = x.narrow(dim, start, (size - 1) * step + 1)
                x = x if step == 1 else x[(slice(None),) * dim + (slice(None, None, step),)]
        return x


class Permute(nn.Module):
    """The dimensions in the order ``dims``, of which the first is the batch."""

    op_kind = "permute"

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """In its own memory, as kernels for maps want it."""
        return x.permute(self.dims).contiguous()


class Expand(nn.Module):
    """(B, ...) -> (B, *shape): dimensions of one place stand for as many as ``shape`` has there."""

    op_kind = "expand"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Moves nothing."""
        return x.expand(len(x), *self.shape)
