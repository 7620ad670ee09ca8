"""Any classifier of torchvision as a chain of units: to be trained, or on meta tensors to be planned alone.

The network is traced (torch.fx) and cut wherever a single tensor crosses; what lies between two cuts
becomes a unit, named by where it stands in torchvision's own module tree ("layer1.0").
"""

import copy
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from blockwise.models.calls import in_modules
from blockwise.models.editing import name_of
from blockwise.models.units import begins_classifier
from blockwise.nets.chain import Chain, Unit
from devices.errors import InputError
from devices.network import IMAGES, Layer
from devices.network.ops import of_function
from devices.network.trace import symbolic, trace
from devices.program.regimes.segments import boundaries

PREFIX = "torchvision:"
STAGE_AND_BLOCK = 2
"""Components of a module's path that name its unit; a number behind them is one more."""

NUMBERED = re.compile(r"(^|_)\d+$")
"""The name of one of several modules that are alike, as in "encoder.layers.encoder_layer_0"."""

WITH_AUXILIARY = ("googlenet", "inception_v3")
"""Networks with further classifiers for their training on a computer, which are left out."""

OF_ONE_SIZE = "vit_"
"""Beginning of the names of those that learn a summand for each place: they take images of one size."""

ACTIVATIONS: dict[Any, type[nn.Module]] = {
    torch.relu: nn.ReLU, F.relu: nn.ReLU, F.relu6: nn.ReLU6, F.silu: nn.SiLU, F.hardswish: nn.Hardswish,
}  # fmt: skip


def _known() -> list[str]:
    import torchvision.models as zoo  # type: ignore[import-untyped]  # slow, seldom needed

    names: list[str] = zoo.list_models(module=zoo)
    return names


def is_torchvision(name: str) -> bool:
    """Whether torchvision has a classifier of this name."""
    return name in _known()


def check_torchvision(name: str) -> None:
    """Raise InputError unless torchvision has a classifier of this name."""
    known = _known()
    if name not in known:
        near = get_close_matches(name, known, n=3) or ["resnet18", "mobilenet_v2", "efficientnet_b0"]
        raise InputError(
            "torchvision model", got=repr(name), wanted=f"one of the {len(known)} that "
            "torchvision.models.list_models() names", do=f"try {', '.join(near)}",
        )  # fmt: skip


def torchvision_chain(
    name: str, in_shape: tuple[int, ...], num_classes: int, width: float | None = None, *,
    trained: bool = False,
) -> Chain:  # fmt: skip
    """The network ``name`` without the prefix, for images (C, H, W).

    ``width`` multiplies its channels, where it has a multiplier, as MobileNetV2 and V3 have.
    Unless it is to be ``trained`` it is on the meta device: no weight is allocated.
    Where the images have other than three channels the first convolution is given as many inputs.
    Raises InputError for a name that torchvision does not have, a network that torch.fx cannot
    trace, or a layer that has no cost row or does not take this shape.
    """
    root = _build(name, in_shape, num_classes, width, trained)
    _adapt_channels(root, in_shape[0])
    root, graph = _traced(root, f"{PREFIX}{name}", in_shape)
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    layers = trace(fx.GraphModule(root, graph), {IMAGES: in_shape}, name)
    source = next(node for node in graph.nodes if node.op == "placeholder")
    parts = [nodes[i:j] for i, j in pairwise(_cuts(nodes, layers))]
    units: list[Unit] = []
    stage, size = -1, None
    weighted = {node for node, layer in zip(nodes, layers, strict=True) if layer.weights}
    for part, used in zip(parts, _names(parts, weighted), strict=True):
        shape = layers[nodes.index(part[-1])].shape
        if len(shape) == 3 and shape[1:] != size:  # a resolution of its own is a stage
            stage, size = stage + 1, shape[1:]
        units.append(Unit(used, _module(part, source, root), max(stage, 0)))
        source = part[-1]
    return Chain(f"{PREFIX}{name}", units, in_shape, num_classes, width).made_of(root)


def _build(
    name: str, in_shape: tuple[int, ...], num_classes: int, width: float | None, trained: bool
) -> nn.Module:
    import torchvision.models as zoo

    options: dict[str, Any] = {} if width is None else {"width_mult": width}
    if name.startswith(OF_ONE_SIZE):
        options["image_size"] = in_shape[1]
    if name in WITH_AUXILIARY:
        options |= {"aux_logits": False, "init_weights": False}
    try:
        place = nullcontext() if trained else torch.device("meta")
        with place, warnings.catch_warnings(action="ignore"):  # of initialisation
            model: nn.Module = zoo.get_model(name, weights=None, num_classes=num_classes, **options)
    except NotImplementedError:  # its code computes with values: they are there, and then dropped
        model = zoo.get_model(name, weights=None, num_classes=num_classes, **options).to("meta")
    except TypeError as error:
        raise InputError(
            "--width", got=f"{width:g} with {PREFIX}{name}", wanted="a network with a multiplier",
            do="leave it out, or use torchvision:mobilenet_v2",
        ) from error  # fmt: skip
    except (RuntimeError, AssertionError) as error:
        raise _untraceable(name, error) from error
    for module in model.modules():
        if hasattr(module, "inplace"):  # a map may be another block's input, or read again
            setattr(module, "inplace", False)  # noqa: B010  (modules have attributes of any type)
    return model


def _traced(root: nn.Module, name: str, in_shape: tuple[int, ...]) -> tuple[nn.Module, fx.Graph]:
    """The network and its graph; in other modules where its own code does what no layer has as it stands."""
    if not name.removeprefix(PREFIX).startswith(OF_ONE_SIZE):  # whose code asks for sizes
        graph = symbolic(root, name)
        calls = [node for node in graph.nodes if node.op in ("call_function", "call_method")]
        if all(of_function(name_of(node)) for node in calls) and all(n.op != "get_attr" for n in graph.nodes):
            return root, graph
    whole = in_modules(root, name, in_shape)
    return whole, symbolic(whole, name)


def _untraceable(name: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:120]
    return InputError(
        f"{PREFIX}{name}", got=f"{type(error).__name__}: {reason}",
        wanted="a network that can be built and traced without values", do="choose another model",
    )  # fmt: skip


def _adapt_channels(root: nn.Module, channels: int) -> None:
    for path, module in root.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != channels:
                options = {
                    key: getattr(module, key) for key in ("kernel_size", "stride", "padding", "dilation")
                }
                bias = module.bias is not None
                where = module.weight.device
                conv = nn.Conv2d(channels, module.out_channels, bias=bias, device=where, **options)
                root.set_submodule(path, conv)
            return


def _cuts(nodes: Sequence[fx.Node], layers: Sequence[Layer]) -> list[int]:
    """Positions between units: one per block of the module tree, and one before the classifier."""
    possible = boundaries(layers, IMAGES)
    weighted = [i for i, layer in enumerate(layers) if layer.weights]
    head = max((cut for cut in possible[:-1] if cut <= weighted[-1]), default=0)
    while head - 1 in possible and begins_classifier(layers[head - 1]):
        head -= 1
    cuts = [0]
    for cut in possible[1:-1]:
        new_block = _block(nodes[cut]) != _block(nodes[cut - 1])
        has_weights = any(layers[i].weights for i in range(cuts[-1], cut))
        if cut == head or (cut < head and new_block and has_weights):
            cuts.append(cut)
    return [*cuts, len(nodes)]


def _block(node: fx.Node) -> str:
    path = str(node.target).split(".")
    if node.op != "call_module":  # where the code stands that calls it
        inside = "" if not (stack := node.meta.get("nn_module_stack")) else [*stack.values()][-1][0]
        if not inside:
            return _block(node.all_input_nodes[0]) if node.all_input_nodes else node.name
        path = [*inside.split("."), node.name]
    return ".".join(path[: _depth(path)])


def _depth(path: list[str]) -> int:
    deeper = len(path) > STAGE_AND_BLOCK + 1 and NUMBERED.search(path[STAGE_AND_BLOCK]) is not None
    return STAGE_AND_BLOCK + deeper


def _names(parts: Sequence[Sequence[fx.Node]], weighted: set[fx.Node]) -> Iterator[str]:
    """Each part by the block of its first layer with weights."""
    for part in parts[:-1]:
        first = next((node for node in part if node in weighted), part[0])
        yield _block(first).replace(".", "_")
    yield "classifier"


def _module(part: Sequence[fx.Node], source: fx.Node, root: nn.Module) -> nn.Module:
    """The nodes as a module of one argument.

    A module used twice gets a twin, and the function of an activation becomes a module: its quantizer is
    its own.
    """
    holder, graph = nn.Module(), fx.Graph()
    known = {source: graph.placeholder("x")}
    for node in part:
        known[node] = graph.node_copy(node, known.__getitem__)
        if node.op == "call_module":
            module, name = root.get_submodule(str(node.target)), _free(holder, _short(node), node.name)
            twice = any(module is other for other in holder.children())
            holder.add_module(name, copy.deepcopy(module) if twice else module)
            known[node].target = name
        elif node.op == "call_function" and node.target in ACTIVATIONS:
            name = _free(holder, node.name)
            holder.add_module(name, ACTIVATIONS[node.target]())
            function, known[node] = known[node], graph.call_module(name, (known[node.all_input_nodes[0]],))
            graph.erase_node(function)
    graph.output(known[part[-1]])
    return fx.GraphModule(holder, graph)


def _free(holder: nn.Module, *names: str) -> str:
    """The first of ``names`` that ``holder`` does not have yet, or the last one with a mark behind it."""
    name = next((name for name in names if not hasattr(holder, name)), names[-1])
    while hasattr(holder, name):
        name += "_"
    return name


def _short(node: fx.Node) -> str:
    path = str(node.target).split(".")
    return "_".join(path[_depth(path) :] or path)
