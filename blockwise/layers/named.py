"""Building parts that models and heads share."""

from collections import OrderedDict

from torch import nn


def named(**layers: nn.Module) -> nn.Sequential:
    """Layers in order, with names that a report can show."""
    return nn.Sequential(OrderedDict(layers))
