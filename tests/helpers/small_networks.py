"""Built-in networks, small."""

import torch

from blockwise import models


def build(name: str, shape: tuple[int, ...]) -> models.Chain:
    torch.manual_seed(0)
    return models.build(name, shape, 10, 8)
