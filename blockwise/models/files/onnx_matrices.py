"""Keys as exporters of ``F.scaled_dot_product_attention`` turn them: by way of one batch of all heads.

A graph has Reshape (B, H, N, D) -> (B H, N, D), Transpose, and Reshape -> (B, H, D, N) in the place of one
Transpose. That the values are the same shows when the whole network is compared with the graph.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

LAST_TWO = [0, 2, 1]
OF_HEADS = (0, 1, 3, 2)


def turned(onnx: Any, nodes: Sequence[Any], ranks: Mapping[str, int]) -> list[Any]:
    """The operators, with one Transpose for each such row of three.

    ``ranks`` are the lengths of initializers, by which a Reshape says how many dimensions it makes.
    """
    readers = Counter(name for node in nodes for name in node.input)
    makers = {node.output[0]: node for node in nodes if node.output}
    found: list[Any] = []
    for node in nodes:
        turn = makers.get(node.input[0]) if node.op_type == "Reshape" else None
        first = makers.get(turn.input[0]) if turn is not None and _turns(turn, readers) else None
        if first is None or first.op_type != "Reshape" or readers[first.output[0]] > 1:
            found.append(node)
        elif ranks.get(node.input[1]) == len(OF_HEADS) and ranks.get(first.input[1]) == len(LAST_TWO):
            found = [x for x in found if x is not first and x is not turn]
            made = onnx.helper.make_node("Transpose", first.input[:1], node.output, perm=OF_HEADS)
            made.name = node.name
            found.append(made)
        else:
            found.append(node)
    return found


def _turns(node: Any, readers: Mapping[str, int]) -> bool:
    """Whether it exchanges rows and columns of matrices in a batch, for one reader."""
    if node.op_type != "Transpose" or readers[node.output[0]] > 1:
        return False
    return any(list(a.ints) == LAST_TWO for a in node.attribute if a.name == "perm")
