"""Gradients of maps that are linear in what is asked for."""

from collections.abc import Callable

import torch
from torch import Tensor


def pulled(compute: Callable[[Tensor], Tensor], shape: tuple[int, ...], gradient: Tensor) -> Tensor:
    """The gradient (``shape``) of the input of ``compute``, which is linear: any point will do.

    ``gradient`` is that of the output: as many elements, in the same order.
    """
    with torch.enable_grad():
        at = torch.zeros(shape, requires_grad=True)
        out = compute(at)
        (found,) = torch.autograd.grad(out, at, gradient.view(out.shape))
    return found
