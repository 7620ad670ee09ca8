"""Turns about random axes: a sensor sits on everybody's wrist in another way."""

import math

import torch
from torch import Generator, Tensor

AXES = 3
"""Channels that turn together, as those of an acceleration or of a rotation."""


def turned(values: Tensor, degrees: float, generator: Generator) -> Tensor:
    """Each of (B, 3 n, L), values of n sensors with three axes, turned by up to ``degrees`` about one axis.

    All sensors of a sample turn alike; axes are drawn from all directions, angles uniformly. As in Um et al.
    2017 (arXiv 1706.00527), whose turns are by any angle.
    """
    matrices = rotations(len(values), degrees, generator).to(values.device, non_blocking=True)
    sensors = values.unflatten(1, (-1, AXES))
    found: Tensor = (matrices[:, None] @ sensors).flatten(1, 2)
    return found


def rotations(count: int, degrees: float, generator: Generator) -> Tensor:
    """Matrices (count, 3, 3), by Rodrigues' formula."""
    drawn = torch.randn(count, AXES, generator=generator, device=generator.device)
    axis = drawn / drawn.norm(dim=1, keepdim=True).clamp_min(1e-12)
    share = 2 * torch.rand(count, 1, 1, generator=generator, device=generator.device) - 1
    angle = share * math.radians(degrees)
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(count, AXES, AXES)
    identity = torch.eye(AXES, device=generator.device)
    return identity + angle.sin() * cross + (1 - angle.cos()) * cross @ cross
