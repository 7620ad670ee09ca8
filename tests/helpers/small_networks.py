"""Built-in networks, small."""

import torch

from blockwise import models


def build(name: str, shape: tuple[int, ...]) -> models.Chain:
    torch.manual_seed(0)
    return models.build(name, shape, 10, 8)


def fitting(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of images, or as many values in the rank that the model takes."""
    ranks = models.CATALOGUE[name].ranks
    return shape if len(shape) in ranks else (shape[0], shape[1] * shape[2])
