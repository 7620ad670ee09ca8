"""What makes a module of an operator of ONNX: of an example, its constant inputs and its attributes."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

Constants = Mapping[int, Tensor]
Options = Mapping[str, Any]
Maker = Callable[[Tensor, Constants, Options], nn.Module]


class Unsuitable(Exception):
    """An attribute that no layer has."""
