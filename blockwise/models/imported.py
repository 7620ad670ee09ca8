"""A module of one's own as a chain of units, cut wherever a single tensor crosses."""

import copy
from collections.abc import Sequence
from itertools import pairwise, takewhile
from numbers import Integral

from torch import fx, nn

from blockwise.layers.norms import BATCH_NORMS
from blockwise.models.calls import in_modules
from blockwise.models.renorming import renorm
from blockwise.models.style import PLAIN, Style
from blockwise.models.units import begins_classifier, unit_module, unit_name
from blockwise.nets.chain import Chain, Unit
from blockwise.nets.usual import OWN
from devices.errors import InputError
from devices.network import IMAGES, Layer
from devices.network.trace import symbolic, trace
from devices.program.regimes.segments import boundaries

Atom = tuple[int, int]  # layers start .. end - 1 between two possible cuts


def from_module(module: nn.Module, in_shape: tuple[int, ...]) -> Chain:
    """``module`` as a chain that plans under every regime and trains from the weights that it has.

    It takes inputs (B, *in_shape), in_shape = (C, H, W), (C, L) or (F,), and gives logits (B, classes). It
    is copied; two parts of it are units of their own wherever a single tensor crosses between them, so that
    a residual block stays whole and nn.Sequential is cut between its layers with weights.

    Raises InputError for what torch.fx cannot trace, an operation that no layer computes, weights shared
    between layers, images that it does not take, and an output that is not logits.
    """
    name = type(module).__name__
    in_shape = _checked(name, in_shape)
    whole = in_modules(module, name, in_shape)
    layers = trace(whole, {IMAGES: in_shape}, name)
    classes = _classes(name, layers)
    chain = Chain(f"{OWN}{name}", _units(whole, layers), in_shape, classes, None).made_of(whole)
    if not any(isinstance(found, BATCH_NORMS) for found in chain.modules()):
        chain.norm = "none"
    return chain


def _units(whole: fx.GraphModule, layers: Sequence[Layer]) -> list[Unit]:
    graph = symbolic(whole, "")
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    source = next(node for node in graph.nodes if node.op == "placeholder")
    units: list[Unit] = []
    stage, size = -1, None
    for start, end in _cuts(layers):
        part, own = nodes[start:end], layers[start:end]
        shape = own[-1].shape
        if len(shape) > 1 and shape[1:] != size:  # a resolution of its own is a stage
            stage, size = stage + 1, shape[1:]
        last = end == len(nodes)
        name = "classifier" if last else unit_name(part, own, [unit.name for unit in units])
        units.append(Unit(name, unit_module(part, own, source, whole), max(stage, 0)))
        source = part[-1]
    return units


def as_chain(network: nn.Module, in_shape: tuple[int, ...]) -> Chain:
    """A chain as it is; any other module by :func:`from_module`."""
    return network if isinstance(network, Chain) else from_module(network, in_shape)


def replica(chain: Chain, norm: str, style: Style, width: float | None) -> Chain:
    """``chain`` with the weights that it has and other norms, if any, for a training of its own.

    Constants in place of norms compute what these did. Raises InputError for a style or a width, of which it
    has its own, and for a trained norm that can go into no layer.
    """
    if style != PLAIN or width is not None:
        raise InputError(
            chain.name, got="a width, activation, dropout, biases or first weights",
            wanted="the network as it is", do="leave them out, or change the module",
        )  # fmt: skip
    return renorm(copy.deepcopy(chain), norm, trained=True)


def _checked(name: str, in_shape: Sequence[int]) -> tuple[int, ...]:
    sizes = in_shape if isinstance(in_shape, Sequence) else ()
    whole = all(isinstance(size, Integral) and type(size) is not bool and size > 0 for size in sizes)
    if not 1 <= len(sizes) <= 3 or not whole:
        raise InputError(
            f"{name}: in_shape", got=in_shape, wanted="(channels, height, width) of its images, "
            "(channels, length) of its signals, or (features,)", do="name them, as in_shape=(3, 32, 32)",
        )  # fmt: skip
    return tuple(map(int, sizes))


def _classes(name: str, layers: Sequence[Layer]) -> int:
    if not any(layer.weights for layer in layers):
        raise InputError(name, got="no layer with weights", wanted="a network to train", do="add a layer")
    shape = layers[-1].shape
    if len(shape) != 1 or shape[0] < 2:
        raise InputError(
            name, got=f"an output of shape {shape} per image", wanted="the logits of 2 classes or more",
            do="end it in a linear layer, behind a flatten",
        )  # fmt: skip
    return shape[0]


def _cuts(layers: Sequence[Layer]) -> list[Atom]:
    """The layers of each unit: every possible cut that leaves weights, and what belongs to them, whole."""
    atoms = list(pairwise(boundaries(layers, IMAGES)))
    weighted = [i for i, atom in enumerate(atoms) if _has_weights(layers, atom)]
    starts = [0]
    for before, atom in pairwise(weighted):
        between = [layers[slice(*atoms[i])] for i in range(before + 1, atom)]
        opening = _opening_classifier(between) if atom == weighted[-1] else _opening_unit(between)
        starts.append(atoms[atom - opening][0])
    return list(pairwise([*starts, len(layers)]))


def _has_weights(layers: Sequence[Layer], atom: Atom) -> bool:
    return any(layer.weights for layer in layers[slice(*atom)])


def _opening_classifier(between: Sequence[Sequence[Layer]]) -> int:
    """How many of the parts without weights before it belong to the classifier."""
    own = takewhile(lambda part: all(begins_classifier(layer) for layer in part), reversed(between))
    return len(list(own))


def _opening_unit(between: Sequence[Sequence[Layer]]) -> int:
    """How many of them belong to any other unit: from a view on, where no pool follows."""

    def may_follow(part: Sequence[Layer]) -> bool:
        return all(layer.op.drops or layer.op.rearranges for layer in part)

    own = list(takewhile(may_follow, reversed(between)))
    while own and not own[-1][0].op.rearranges:
        own.pop()
    return len(own)
