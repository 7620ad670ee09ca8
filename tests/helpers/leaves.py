"""Gradients as autograd leaves them."""

from collections.abc import Iterable

from torch import Tensor


def gradients_of(leaves: Iterable[Tensor]) -> list[Tensor]:
    """The gradient of each, and each has one."""
    found = [leaf.grad for leaf in leaves]
    reached = [gradient for gradient in found if gradient is not None]
    assert len(reached) == len(found), "a leaf has no gradient"
    return reached
