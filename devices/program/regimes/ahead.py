"""What runs ahead of the layers that are trained: finished and frozen ones, as deployed, image by image.

Nothing of them is kept.
"""

from collections.abc import Sequence

from devices.network import Layer, Network
from devices.network.ops import View
from devices.program.lower import Lowering
from devices.program.regimes.builder import Builder, Tensors
from devices.program.regimes.gather import gather
from devices.program.regimes.segments import boundaries


def behind_frozen(build: Builder, layers: Sequence[Layer], *, at_once: bool = False) -> tuple[Layer, ...]:
    """Run the frozen layers at the start of ``layers``; returns those behind.

    That is up to the last place before what is trained that a single tensor crosses: a boundary between
    layers, or between blocks. ``at_once`` passes all images of the lowering's batch together.
    """
    behind = without_frozen(build.network, layers)
    ahead = layers[: len(layers) - len(behind)]
    if ahead and at_once:
        build.lowering.forward(ahead, keep=False, training=False)
    elif ahead:
        run_frozen(build, ahead)
    return behind


def run_frozen(build: Builder, layers: Sequence[Layer]) -> None:
    """Run layers of which none is trained, between others."""
    if not build.alone:
        build.lowering.forward(layers, keep=False, training=False)
    else:
        one_by_one(build, [layers], {}, build.network.owners[layers[0].name])


def without_frozen(network: Network, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers but for the frozen ones at their start, up to the last place that one tensor crosses."""
    trained = next((i for i, layer in enumerate(layers) if layer.trained.anything), len(layers))
    if not trained:
        return tuple(layers)
    firsts = {block.layers[0].name for block in network.blocks}
    cuts = {i for i, layer in enumerate(layers) if layer.name in firsts}
    cuts.update(boundaries(layers, entrance(layers)))
    found = max(i for i in cuts if i <= trained)
    while found - 1 in cuts and isinstance(layers[found - 1].op, View):  # which moves nothing
        found -= 1
    return tuple(layers[found:])


def entrance(layers: Sequence[Layer]) -> str:
    """The layer, or the images, that a run of layers reads first."""
    return layers[0].inputs[0]


def one_by_one(
    build: Builder, runs: Sequence[Sequence[Layer]], held: Tensors, owner: str, what: str = "inputs"
) -> None:
    """Run what is at rest one image at a time, for the block ``owner``, to which the outputs are ``what``.

    ``held`` are tensors that layers read in place of those that the builder's lowering knows.
    """

    def run(one: Lowering) -> None:
        one.held.update(build.lowering.held | held)
        for layers in runs:
            one.forward(layers, keep=False, training=False)

    gather(build, [layer for layers in runs for layer in layers], owner, run, what)
