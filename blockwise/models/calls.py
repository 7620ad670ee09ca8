"""A module's own code as a graph in which every operation with a layer is a module of its own.

``F.relu(x)``, ``x.view(x.size(0), -1)`` and ``x.mean((2, 3))`` become the modules of torch.nn that do the
same, and a module that is called twice becomes two, so that each place can have a quantizer of its own.
"""

import copy
import random
import sys
from contextlib import redirect_stdout
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from blockwise.models.drop_paths import as_stochastic_depth
from blockwise.models.editing import name_of
from blockwise.models.endings import without_softmax
from blockwise.models.instance_norms import as_group_norms
from blockwise.models.multihead import as_self_attention
from blockwise.models.own_modules import check_modes, check_own_weights, check_plain_weights
from blockwise.models.rewriting import rewrite
from blockwise.models.shaped import ShapedTracer, not_taken
from devices.errors import InputError
from devices.network.trace import Shapes, symbolic

Shape = tuple[int, ...]

AS_ANOTHER = ("to", "type_as", "view_as", "expand_as", "reshape_as")
"""Functions of one tensor that only ask for the kind or the shape of a second one."""

IMAGES = 2
"""In the batch on which shapes are found: reshapes by the size of the batch want one that is not empty."""


def in_modules(module: nn.Module, name: str, in_shape: Shape) -> fx.GraphModule:
    """A copy of ``module`` for one image batch (B, *in_shape), its operations as modules.

    Raises InputError for what cannot be traced, has other than one input and one output, does not take
    this shape, shares weights between layers, or computes what no layer does.
    """
    root = _own(module, name)
    try:
        return _in_modules(root, name, in_shape, shaped=False)
    except InputError:  # of its code; the first trial may have changed the copy
        return _in_modules(_own(module, name), name, in_shape, shaped=True)


def _own(module: nn.Module, name: str) -> nn.Module:
    """A copy that may be traced. Raises InputError for a module of which no code can be."""
    root = as_self_attention(as_stochastic_depth(as_group_norms(_copied(module, name), name)))
    if type(root).__module__.startswith("torch.nn") and not list(root.children()):
        root = nn.Sequential(root)  # a layer alone would be looked into
    check_own_weights(root, name)
    check_modes(root, name)
    for child, _ in root.named_children():
        if hasattr(fx.GraphModule, child):
            raise InputError(f"{name}.{child}", got="a name of torch.fx", wanted="another", do="rename it")
    return root


def _in_modules(root: nn.Module, name: str, in_shape: Shape, *, shaped: bool) -> fx.GraphModule:
    """For images of any size as far as the code does not ask for it, or ``shaped`` for these alone."""
    images = _images(root, IMAGES, in_shape)
    graph = _symbolic(root, name, ShapedTracer(images) if shaped else None)
    _leave_out_unread(graph)
    inputs = [node for node in graph.nodes if node.op == "placeholder" and (node.users or not node.args)]
    if len(inputs) != 1:
        raise InputError(name, got=f"{len(inputs)} inputs", wanted="one, the images", do="wrap it")
    result = fx.GraphModule(root, graph)
    _outcome(result, name, images)
    _check_gradients(result, root, name, images)
    ending = without_softmax(result, graph, name)
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
    # another batch tells whether sizes of the first have become constants
    for batch in (_images(root, IMAGES + 1, in_shape), images) if shaped else (images,):
        _check_same(_own_outcome(root, name, batch), ending(_outcome(result, name, batch)), name)
    return result


def _images(root: nn.Module, count: int, in_shape: Shape) -> Tensor:
    """Any (count, *in_shape), where the weights of ``root`` are."""
    images = torch.randn(count, *in_shape, generator=torch.Generator().manual_seed(0))
    return images.to(next(root.parameters(), images).device)


def _leave_out_unread(graph: fx.Graph) -> None:
    """What nobody reads learns nothing; what is done in place to a map shows in the values."""
    for node in reversed(graph.nodes):
        if node.op not in ("placeholder", "output") and not node.users:
            graph.erase_node(node)


def _copied(module: nn.Module, name: str) -> nn.Module:
    """As it is trained: with dropout, in float32, and on the CPU unless it has no values."""
    check_plain_weights(module, name)
    try:
        root = copy.deepcopy(module).train()
    except Exception as error:  # of locks, files, and maps that an earlier call has left
        raise InputError(
            name, got=f"{type(error).__name__}: {' '.join(f'{error}'.split())[:120]}",
            wanted="a module that copy.deepcopy can copy",
            do="make it anew: it may keep maps of an earlier call as attributes",
        ) from error  # fmt: skip
    return root if any(p.is_meta for p in root.parameters()) else root.cpu().float()


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


def _symbolic(root: nn.Module, name: str, tracer: ShapedTracer | None) -> fx.Graph:
    before = torch.get_rng_state(), random.getstate()
    with redirect_stdout(sys.stderr):  # what its code prints is no answer of this program's
        graph = symbolic(root, name, tracer)
    if not torch.equal(before[0], torch.get_rng_state()) or before[1] != random.getstate():
        raise InputError(
            name, got="code that draws random numbers, of which a graph would have one draw",
            wanted="what is random in modules of its own",
            do="use nn.Dropout or torchvision.ops.StochasticDepth",
        )  # fmt: skip
    return graph


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
        raise not_taken(name, images, error) from error
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
        if name_of(n) in AS_ANOTHER:  # of which the values are not read
            inputs = inputs[:1]
        constant = n.op == "get_attr" or (inputs and all("value" in x.meta for x in inputs))
        several = isinstance(result, tuple | list) and any(isinstance(x, Tensor) for x in result)
        if constant or not (several or isinstance(result, Tensor)):
            n.meta.update(shape=None, value=result)
        n.meta["shapes"] = [tuple(x.shape[1:]) for x in result] if several and not constant else None
        return result
