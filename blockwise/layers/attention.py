"""What attention is made of: products of two computed matrices, and the softmax of their rows.

Vaswani et al. 2017, arXiv 1706.03762.
"""

import torch
from torch import Tensor, nn, softmax
from torch.overrides import handle_torch_function, has_torch_function


def multiply_matrices(left: Tensor, right: Tensor, factor: float = 1.0) -> Tensor:
    """(..., N, K) and (..., K, M) -> ``factor`` times their product (..., N, M).

    It is one node of a traced network.
    """
    if has_torch_function((left, right)):
        return handle_torch_function(multiply_matrices, (left, right), left, right, factor=factor)
    product = left @ right
    return product if factor == 1 else product.mul_(factor)


def seen_in_order(rows: int, columns: int) -> Tensor:
    """(rows, columns), True where a causal attention sees: of each token those up to it."""
    return torch.ones(rows, columns, dtype=torch.bool).tril()


class RowSoftmax(nn.Module):
    """(..., M) -> the same shape: the softmax of each row, along the last dimension."""

    op_kind = "softmax"

    def forward(self, x: Tensor) -> Tensor:
        """Shares that sum up to one."""
        return softmax(x, -1)
