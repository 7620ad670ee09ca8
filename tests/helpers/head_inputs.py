"""Inputs for local heads: maps and flat features of many shapes, with labels; and their gradients."""

import torch
from leaves import gradients_of

from blockwise import heads

SHAPES = [(16, 32, 32), (8, 8, 8), (4, 1, 1), (3, 5, 7), (20,)]


def batch(shape: tuple[int, ...], size: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, *shape, generator=generator), torch.arange(size) % 10


def gradients(head: heads.Head, h: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    """Of the block's output and of every parameter of the head."""
    h = h.detach().requires_grad_()
    head.zero_grad()
    loss = head(h, y)
    assert loss.shape == ()
    assert loss.isfinite()
    loss.backward()
    return gradients_of((h, *head.parameters()))
