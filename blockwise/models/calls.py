"""A module's own code as a graph in which every operation with a layer is a module of its own.

``F.relu(x)``, ``x.view(x.size(0), -1)`` and ``x.mean((2, 3))`` become the modules of torch.nn that do the
same, and a module that is called twice becomes two, so that each place can have a quantizer of its own.
"""

import copy
import sys
from contextlib import redirect_stdout
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode

from blockwise.models.instance_norms import as_group_norms
from blockwise.models.rewriting import rewrite
from devices.errors import InputError
from devices.network.trace import Shapes, symbolic

Shape = tuple[int, ...]

MODAL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
"""Layers that do something else in training."""

IMAGES = 2
"""In the batch on which shapes are found: reshapes by the size of the batch want one that is not empty."""


def in_modules(module: nn.Module, name: str, in_shape: Shape) -> fx.GraphModule:
    """A copy of ``module`` for one image batch (B, *in_shape), its operations as modules.

    Raises InputError for what cannot be traced, has other than one input and one output, does not take
    this shape, shares weights between layers, or computes what no layer does.
    """
    root = as_group_norms(_copied(module, name), name)
    if type(root).__module__.startswith("torch.nn") and not list(root.children()):
        root = nn.Sequential(root)  # a layer alone would be looked into
    _check_own_weights(root, name)
    _check_modes(root, name)
    for child, _ in root.named_children():
        if hasattr(fx.GraphModule, child):
            raise InputError(f"{name}.{child}", got="a name of torch.fx", wanted="another", do="rename it")
    graph = _symbolic(root, name)
    inputs = [node for node in graph.nodes if node.op == "placeholder" and (node.users or not node.args)]
    if len(inputs) != 1:
        raise InputError(name, got=f"{len(inputs)} inputs", wanted="one, the images", do="wrap it")
    result = fx.GraphModule(root, graph)
    images = torch.randn(IMAGES, *in_shape, generator=torch.Generator().manual_seed(0))
    images = images.to(next(root.parameters(), images).device)
    _outcome(result, name, images)
    before = _own_outcome(root, name, images)
    _check_gradients(result, root, name, images)
    with images.device:  # modules in the place of functions
        rewrite(result, name)
    for node in graph.nodes:  # arguments with defaults that nothing reads
        if node.op == "placeholder" and not node.users:
            graph.erase_node(node)
    for found in result.modules():
        if hasattr(found, "inplace"):  # what a block is given may have other readers
            setattr(found, "inplace", False)  # noqa: B010
    result.delete_all_unused_submodules()
    result.recompile()
    _check_same(before, _outcome(result, name, images), name)
    return result


def _copied(module: nn.Module, name: str) -> nn.Module:
    """As it is trained: with dropout, in float32, and on the CPU unless it has no values."""
    _check_plain_weights(module, name)
    root = copy.deepcopy(module).train()
    return root if any(p.is_meta for p in root.parameters()) else root.cpu().float()


def _check_plain_weights(module: nn.Module, name: str) -> None:
    """Raise InputError for weights without values, and for those that are made of others at every step."""
    for path, part in module.named_modules():
        subject = f"{name}.{path}" if path else name
        if any(is_lazy(parameter) for parameter in part.parameters(recurse=False)):
            raise InputError(
                subject, got=f"{type(part).__name__}, whose weights have no shape yet",
                wanted="weights with values", do="call the module once before, or name its sizes",
            )  # fmt: skip
        computed = [key for key in ("weight", "bias") if _is_computed(part, key)]
        if is_parametrized(part) or computed:
            raise InputError(
                subject, got="weights computed of other parameters, as by weight_norm or spectral_norm",
                wanted="each layer's weights as parameters of their own",
                do="remove them before: remove_weight_norm, remove_spectral_norm or remove_parametrizations",
            )  # fmt: skip


def _is_computed(part: nn.Module, name: str) -> bool:
    """Whether a tensor is an attribute of the module, but nothing that it registered."""
    return isinstance(vars(part).get(name), Tensor)


def _check_same(own: Any, after: Tensor, name: str) -> None:
    """Whatever was taken for something else shows in the values."""
    if not _same(own, after):
        raise InputError(
            name, got="other values from its layers than from its own code",
            wanted="operations that do what the layer of their name does",
            do="use modules of torch.nn in place of functions",
        )  # fmt: skip


def _same(own: Any, after: Tensor) -> bool:
    if not isinstance(own, Tensor) or own.shape != after.shape:
        return False
    return after.is_meta or torch.allclose(own.float(), after, rtol=1e-3, atol=1e-4, equal_nan=True)


def _check_own_weights(root: nn.Module, name: str) -> None:
    """Raise InputError for a parameter that stands in two places, or is not to be trained."""
    once = {path for path, _ in root.named_parameters()}
    for path, parameter in root.named_parameters():
        if not parameter.requires_grad:
            raise InputError(
                f"{name}.{path}", got="frozen weights", wanted="a network that is trained as a whole",
                do="set requires_grad_(True)",
            )  # fmt: skip
    for path, _ in root.named_parameters(remove_duplicate=False):
        if path not in once:
            raise InputError(
                f"{name}.{path}", got="weights that two layers share", wanted="each layer's own",
                do="give every layer its own weights",
            )  # fmt: skip


def _check_modes(root: nn.Module, name: str) -> None:
    """Refuse layers that the module's own ``train`` keeps at rest, and of many devices. Raises InputError."""
    for path, part in root.named_modules():
        if isinstance(part, nn.SyncBatchNorm):
            raise InputError(
                f"{name}.{path}", got="SyncBatchNorm, whose statistics are of several devices",
                wanted="those of one board's batch", do="use nn.BatchNorm2d",
            )  # fmt: skip
        if isinstance(part, MODAL) and not part.training:
            raise InputError(
                f"{name}.{path}", got="a layer that stays in evaluation mode",
                wanted="a network that is trained as a whole",
                do="let train() be PyTorch's, and choose a part with --train",
            )  # fmt: skip


def _check_gradients(result: nn.Module, root: nn.Module, name: str, images: Tensor) -> None:
    """Refuse parameters whose gradients the module's own code stops, as ``torch.no_grad`` does.

    Tracing does not see it. Raises InputError.
    """
    if images.is_meta:
        return
    own = {*_with_gradients(root, name, images)}
    frozen = next((path for path in _with_gradients(result, name, images) if path not in own), None)
    if frozen is not None:
        raise InputError(
            f"{name}.{frozen}", got="a parameter that its own code gives no gradient, as in no_grad()",
            wanted="a network that is trained as a whole",
            do="leave that out, and choose a part with --train",
        )  # fmt: skip


def _with_gradients(module: nn.Module, name: str, images: Tensor) -> list[str]:
    """The parameters that the outcome has gradients of, by their paths.

    Raises InputError where none can be made.
    """
    twin = copy.deepcopy(module).eval()
    parameters = dict(twin.named_parameters())
    with torch.enable_grad(), _NoDropout(), redirect_stdout(sys.stderr):
        made = twin(images.clone())
        if not (isinstance(made, Tensor) and made.requires_grad):
            return []
        try:
            found = torch.autograd.grad(made.sum(), [*parameters.values()], allow_unused=True)
        except Exception as error:  # of values that were overwritten, of functions that have none
            raise InputError(
                name, got=f"{type(error).__name__}: {' '.join(f'{error}'.split())[:120]}",
                wanted="code through which gradients go back", do="try model(images).sum().backward()",
            ) from error  # fmt: skip
    return [name for name, gradient in zip(parameters, found, strict=True) if gradient is not None]


def _symbolic(root: nn.Module, name: str) -> fx.Graph:
    try:
        with redirect_stdout(sys.stderr):  # what its code prints is no answer of this program's
            return symbolic(root, name)
    except InputError as error:
        counts = "'len' is not supported" in f"{error.got}"
        do = "write x.size(0) in place of len(x)" if counts else error.do
        raise InputError(error.subject, got=error.got, wanted=error.wanted, do=do) from error


def _own_outcome(root: nn.Module, name: str, images: Tensor) -> Any:
    """What the module's own code makes of images at rest; its graph may already be something else.

    Tracing does not see that an operation in place changes what other names stand for.
    """
    twin = copy.deepcopy(root).eval()
    try:
        with torch.no_grad(), _NoDropout(), redirect_stdout(sys.stderr):
            return twin(images.clone())
    except Exception as error:  # whatever it raises, though its graph did not
        raise InputError(
            name, got=f"{type(error).__name__}: {' '.join(f'{error}'.split())[:120]}",
            wanted="code that runs in evaluation mode", do="try model.eval()(images)",
        ) from error  # fmt: skip


class _NoDropout(TorchFunctionMode):
    """At rest a dropout does nothing, whatever it is told."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _is_dropout(func):
            return args[0] if args else kwargs["input"]
        return func(*args, **kwargs or {})


def _is_dropout(function: Any) -> bool:
    return getattr(function, "__name__", "").startswith("dropout")


def _outcome(root: fx.GraphModule, name: str, images: Tensor) -> Any:
    """What it makes of images at rest; notes the shape of every node on the way.

    A copy passes them: norms and quantizers may take their constants from the first that they see.
    """
    twin = copy.deepcopy(root).eval()
    try:
        with torch.no_grad():
            made = _Shapes(twin).run(images)
    except Exception as error:  # whatever the module's own code raises
        raise InputError(
            f"{name} on {'x'.join(map(str, images.shape[1:]))}", got=" ".join(f"{error}".split())[:120],
            wanted="an input that every layer takes", do="name the shape of one: C H W, C L or F",
        ) from error  # fmt: skip
    for node, found in zip(root.graph.nodes, twin.graph.nodes, strict=True):
        node.meta.update({key: found.meta[key] for key in ("shape", "shapes", "value") if key in found.meta})
        if node.op == "get_attr":
            node.meta["trained"] = any(node.target == path for path, _ in root.named_parameters())
    if not isinstance(made, Tensor):
        raise InputError(
            name, got=f"a {type(made).__name__} as output", wanted="one tensor, the logits",
            do="wrap it in a module that gives them alone",
        )  # fmt: skip
    return made


class AtRest(fx.Interpreter):
    """Dropouts do nothing, whatever they were told when they were traced."""

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """But for those as they are."""
        if _is_dropout(target):
            return args[0] if args else kwargs["input"]
        return super().call_function(target, args, kwargs)


class _Shapes(AtRest, Shapes):
    """Of a network at rest; what does not depend on the input, and sizes, are noted as values."""

    def run_node(self, n: fx.Node) -> Any:
        """Shapes are those of maps; of a division those of all its parts."""
        result = super().run_node(n)
        inputs = n.all_input_nodes
        constant = n.op == "get_attr" or (inputs and all("value" in x.meta for x in inputs))
        several = isinstance(result, tuple | list) and any(isinstance(x, Tensor) for x in result)
        if constant or not (several or isinstance(result, Tensor)):
            n.meta.update(shape=None, value=result)
        n.meta["shapes"] = [tuple(x.shape[1:]) for x in result] if several and not constant else None
        return result
