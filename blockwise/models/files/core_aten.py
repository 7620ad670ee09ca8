"""Core ATen, put together again.

``program.run_decompositions()``, which ExecuTorch calls too, breaks a program into few operations: a linear
layer becomes a transposed weight and a product, a norm the first of three results, a hard swish has two
clamps. Here they are again the operations that they were made of, which the reader takes for layers.
https://docs.pytorch.org/docs/stable/torch.compiler_ir.html
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from blockwise.models.files.aten import Call, arguments, aten_name, operands
from blockwise.models.files.core_attention import permuted, safe_softmax
from blockwise.models.files.exported_layers import Given
from devices.network.ops.activations import SELU_ALPHA, SELU_SCALE

aten = torch.ops.aten


def _convolution(given: Given) -> Call | None:
    if given["transposed"]:
        return None
    kinds = {1: aten.conv1d.default, 2: aten.conv2d.default}
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    kind = kinds.get(len(given["stride"]))
    return None if kind is None else (kind, tuple(given[name] for name in names))


def _batch_norm(given: Given) -> Call:
    tensors = tuple(given.get(name) for name in ("input", "weight", "bias", "running_mean", "running_var"))
    training = given.get("training", False)
    return aten.batch_norm.default, (*tensors, training, given["momentum"], given["eps"], False)


def _layer_norm(given: Given) -> Call:
    names = ("input", "normalized_shape", "weight", "bias", "eps")
    return aten.layer_norm.default, tuple(given[name] for name in names)


def _group_norm(given: Given) -> Call:
    names = ("input", "group", "weight", "bias", "eps")
    return aten.group_norm.default, tuple(given[name] for name in names)


def _max_pool(given: Given) -> Call:
    return aten.max_pool2d.default, tuple(given.values())


def _average_to(given: Given) -> Call:
    return aten.adaptive_avg_pool2d.default, tuple(given.values())


def _elu(given: Given) -> Call | None:
    """A SELU is one with two numbers of its own; one that is scaled otherwise is no layer."""
    own = given.get("alpha", 1), given.get("scale", 1), given.get("input_scale", 1)
    return (aten.selu.default, (given["self"],)) if own == (SELU_ALPHA, SELU_SCALE, 1) else None


def _dropout(given: Given) -> Call:
    return aten.dropout.default, tuple(given.values())


def _dropped(given: Given) -> Call | None:
    """Of a map, or of its channels, that is multiplied by noise of 0 and 1 / (1 - p)."""
    maps, noise = given["self"], given["other"]
    if not isinstance(maps, fx.Node) or not isinstance(noise, fx.Node) or aten_name(noise) != "div":
        return None
    drawn, kept = operands(noise)
    if not isinstance(drawn, fx.Node) or aten_name(drawn) != "bernoulli" or operands(drawn)[1:] != (kept,):
        return None
    shape, of_noise = maps.meta["val"].shape, noise.meta["val"].shape
    channels = (*shape[:2], *[1] * len(shape[2:]))
    called = {channels: aten.feature_dropout.default, shape: aten.dropout.default}.get(of_noise)
    return None if called is None else (called, (maps, round(1 - kept, DIGITS), True))


DIGITS = 12
"""Of a rate, whose difference to 1 is what stands in a program."""


def _product(given: Given) -> Call | None:
    """With the transposed weights of a linear layer."""
    maps, turned = given.get("mat1", given.get("self")), given["mat2"]
    if not isinstance(turned, fx.Node) or not _is_transposed(turned):
        return None
    if given.get("alpha", 1) != 1 or given.get("beta", 1) != 1:
        return None
    bias = given["self"] if "mat1" in given else None
    return aten.linear.default, (maps, operands(turned)[0], bias)


def _places(given: Given) -> Call | None:
    """A linear layer on each place of maps, which stood in rows of a matrix for it, or in a batch of them.

    Or a product of maps, whose matrices stood in one batch with images.
    """
    product = given["self"]
    if aten_name(product) == "bmm" and len(product.users) == 1:
        left, right = operands(product)
        after = tuple(given["size"])
        return _batched(left, right, after) or _of_matrices(left, right, after)
    if aten_name(product) != "linear" or len(product.users) > 1:
        return None
    rows, *others = operands(product)
    if aten_name(rows) != "view":
        return None
    maps, *_ = operands(rows)
    before, after = maps.meta["val"].shape, tuple(given["size"])
    return (aten.linear.default, (maps, *others)) if before[:-1] == after[:-1] else None


def _batched(maps: fx.Node, turned: fx.Node, after: tuple[int, ...]) -> Call | None:
    """Of maps that lie otherwise in memory: the weights are repeated for each image."""
    behind = [_behind_views(turned)[-1], *(x for x in _behind_views(maps) if _sides(x)[:-1] == after[:-1])]
    turned, *seen = behind
    if not _is_transposed(turned) or not seen:
        return None
    weight, source = operands(turned)[0], seen[-1]
    return (aten.linear.default, (source, weight, None)) if _sides(source)[-1] == _sides(weight)[1] else None


def _of_matrices(left: fx.Node, right: fx.Node, after: tuple[int, ...]) -> Call | None:
    """Of maps (..., N, K) and (..., K, M), for ``after`` (..., N, M)."""
    rows = [x for x in _behind_views(left) if _sides(x)[:-1] == after[:-1]]
    seen = _behind_views(right)
    columns = [x for x in seen if _sides(x)[:-2] == after[:-2] and _sides(x)[-1] == after[-1]]
    if not rows or not columns or len(after) <= BATCHED:
        return None
    return aten.matmul.default, (rows[-1], columns[-1])


BATCHED = 3
"""Dimensions of a batch of matrices."""


def _behind_views(node: fx.Node) -> list[fx.Node]:
    """The node, and what views and copies made it of, one behind the other."""
    found = [node]
    while aten_name(found[-1]) in ("view", "expand", "clone"):
        found.append(operands(found[-1])[0])
    return found


def _sides(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _biased(given: Given) -> Call | None:
    """A linear layer whose bias is added behind."""
    product, bias = given["self"], given["other"]
    if not isinstance(product, fx.Node) or not isinstance(bias, fx.Node) or bias.op != "placeholder":
        return None
    if aten_name(product) != "linear" or len(product.users) > 1 or given.get("alpha", 1) != 1:
        return None
    maps, weight, *own = operands(product)
    fits = bias.meta["val"].shape == weight.meta["val"].shape[:1]
    return (aten.linear.default, (maps, weight, bias)) if fits and own in ([], [None]) else None


def _is_transposed(node: fx.Node) -> bool:
    """Whether rows and columns of an argument of the program have changed places."""
    order = {"t": ([],), "transpose": ([0, 1], [1, 0]), "permute": ([[1, 0]],)}.get(aten_name(node), ())
    source, *dims = operands(node) or (None,)
    return isinstance(source, fx.Node) and source.op == "placeholder" and dims in order


def _clamp(given: Given) -> Call | None:
    """From above, of what one has clamped from below."""
    inner = given["self"]
    if given.get("min") is not None or aten_name(inner) != "clamp" or len(inner.users) > 1:
        return None
    low = arguments(inner)
    if low.get("max") is not None or isinstance(low["min"], fx.Node) or isinstance(given["max"], fx.Node):
        return None
    return aten.clamp.default, (low["self"], low["min"], given["max"])


def _squeeze(given: Given) -> Call | None:
    """Of signals (B, C, L), which were pooled as maps of one row."""
    pooled, dims = given["self"], given.get("dim")
    called = OF_SIGNALS.get(aten_name(pooled))
    if called is None or len(pooled.users) > 1 or not _is_row(dims):
        return None
    rows, *sizes = operands(pooled)
    if aten_name(rows) != "unsqueeze" or not _is_row([operands(rows)[1]]):
        return None
    if aten_name(pooled) == "mean":
        sizes = [(1, 1)] if sizes == [[-1, -2], True] else [(None, None)]
    pairs = [size for size in sizes if isinstance(size, list | tuple) and size]
    if any(pair[0] not in (0, 1) for pair in pairs):
        return None
    return called, (operands(rows)[0], *([size[1]] if size in pairs else size for size in sizes))


def _is_row(dims: Any) -> bool:
    """Of maps (B, C, 1, L)."""
    return isinstance(dims, list | tuple) and list(dims) in ([-2], [2])


OF_SIGNALS = {
    "max_pool2d": aten.max_pool1d.default, "avg_pool2d": aten.avg_pool1d.default,
    "adaptive_avg_pool2d": aten.adaptive_avg_pool1d.default, "mean": aten.adaptive_avg_pool1d.default,
}  # fmt: skip

DECOMPOSED: dict[str, Callable[[Given], Call | None]] = {
    "convolution": _convolution, "_native_batch_norm_legit_no_training": _batch_norm,
    "_native_batch_norm_legit_functional": _batch_norm, "_native_batch_norm_legit": _batch_norm,
    "native_layer_norm": _layer_norm, "native_group_norm": _group_norm, "addmm": _product, "mm": _product,
    "max_pool2d_with_indices": _max_pool, "_adaptive_avg_pool2d": _average_to, "native_dropout": _dropout,
}  # fmt: skip
"""Operation of Core ATen -> what it was, of its arguments; None where it is something else."""
ENDS = {
    "view": _places, "add": _biased, "mul": _dropped, "clamp": _clamp, "squeeze": _squeeze, "elu": _elu,
    "where": safe_softmax, "permute": permuted,
}  # fmt: skip
"""The same of the last of several operations, which stand in other programs too."""
COMPOSED = {**DECOMPOSED, **ENDS}


def is_decomposed(program: ExportedProgram) -> bool:
    """Whether it holds operations that only decompositions make."""
    return any(aten_name(node) in DECOMPOSED for node in program.graph.nodes if node.op == "call_function")


def composed(program: ExportedProgram) -> fx.Graph:
    """The program as a graph of operations that layers have; its output is the tuple that users get.

    Whatever else stands in it stays; transposed weights and former clamps go, if nothing else reads them.
    """
    made: fx.Graph = copy.deepcopy(program.graph)
    for node, own in zip(made.nodes, program.graph.nodes, strict=True):
        node.name = own.name  # a copy renames what is called as a function of Python, like "input"
    (output,) = (node for node in made.nodes if node.op == "output")
    kinds = zip(program.graph_signature.output_specs, operands(output)[0], strict=True)
    output.args = (tuple(x for spec, x in kinds if spec.kind is OutputKind.USER_OUTPUT),)
    for node in list(made.nodes):
        make = COMPOSED.get(aten_name(node)) if node.op == "call_function" else None
        call = make(_sized(node)) if make is not None else None
        if call is not None:
            _replace(made, node, *call)
    return made


def _sized(node: fx.Node) -> Given:
    """Its arguments, of which a size may be that of any batch."""
    given = arguments(node)
    return {**given, "size": tuple(node.meta["val"].shape)} if "size" in given else given


def _replace(graph: fx.Graph, node: fx.Node, called: Any, args: tuple[Any, ...]) -> None:
    """Put the call in the place of ``node``, or of the first of its results if it has several."""
    several = not isinstance(node.meta["val"], Tensor)
    results = {operands(user)[1]: user for user in node.users} if several else {0: node}
    for index, result in list(results.items()):
        if index and not result.users:
            graph.erase_node(results.pop(index))
    if results.keys() != {0}:
        return
    with graph.inserting_before(node):
        made = graph.call_function(called, args)
    made.meta = {**node.meta, "val": results[0].meta["val"]}
    results[0].replace_all_uses_with(made)
    for result in results.values():
        _erase_unread(graph, result)


def _erase_unread(graph: fx.Graph, node: fx.Node) -> None:
    """With what only it has read."""
    if node.op == "call_function" and not node.users:
        sources = node.all_input_nodes
        graph.erase_node(node)
        for source in sources:
            _erase_unread(graph, source)
