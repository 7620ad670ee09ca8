"""What decompositions make of ``F.scaled_dot_product_attention``, put together again."""

import torch
from torch import fx

from blockwise.models.files.aten import Call, aten_name, operands
from blockwise.models.files.exported_layers import Given


def safe_softmax(given: Given) -> Call | None:
    """Of scores, with zeros in rows of which nothing counts: as one that has no such rows."""
    shares, tells = given["other"], given["condition"]
    if not isinstance(shares, fx.Node) or aten_name(shares) != "_softmax":
        return None
    names = ["logical_not", "any", "logical_not", "eq"]
    for name in names:
        if aten_name(tells) != name:
            return None
        tells = operands(tells)[0]
    return (torch.ops.aten._softmax.default, operands(shares)) if tells is operands(shares)[0] else None


def permuted(given: Given) -> Call | None:
    """Of what was permuted for its place in memory: in one step."""
    copied = given["self"]
    first = operands(copied)[0] if aten_name(copied) == "clone" else copied
    if first is copied or aten_name(first) != "permute":
        return None
    source, order = operands(first)
    return torch.ops.aten.permute.default, (source, [order[at] for at in given["dims"]])
