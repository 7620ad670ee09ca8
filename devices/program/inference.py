"""Inference of a deployed network as a program: packed weights, folded norms, nothing kept.

The counterpart of :mod:`devices.program.regimes` for a board that only runs the network. Weights are codes
(floats at 32 bits), the running statistics and the affine pair of each norm are folded into one
scale and one shift, and a tensor is freed after its last reader.
"""

from dataclasses import replace

from devices.network import IMAGES, Block, Network
from devices.network.precision import with_quantizers
from devices.program.integer import IntegerForm
from devices.program.lower import Lowering
from devices.program.operation import Stored
from devices.program.regimes import Step
from devices.program.regimes.builder import Builder
from devices.program.regimes.integer import IntegerBuilder
from devices.program.schedule import ACTIVATION, Program, Schedule
from devices.program.state import State

OWNER = "network"
"""Inference knows no blocks: every tensor belongs to the whole network."""


def inference(network: Network, step: Step) -> Schedule:
    """One forward pass over ``step.batch`` samples, from images in RAM to float logits.

    Of ``step`` only the batch, the bits and the cost table count. The blocks' bodies run one after
    the other; local heads and the loss do not exist on the board. How ``network`` is cut changes
    nothing. A sum is requantized as soon as it is complete, as in the packed blocks of ``local-resident``:
    no map of 32-bit accumulators is stored, but before a group norm and a layer that needs floats.
    """
    layers = network.layers
    if step.table.packs:
        layers = with_quantizers(layers, step.bits, network.shapes)
    whole = Network(network.in_shape, (Block(OWNER, layers, ()),), network.source)
    program = Program()
    state = State(program, step.bits, step.optimizer, steps=step.table.packs)
    lowering = Lowering(program, whole, step.table, step.bits, step.batch)
    lowering.held.update({layer.name: state.packed(layer, OWNER, "deployed") for layer in layers})
    deployed = tuple(name for names in lowering.held.values() for name in names)
    images = program.tensor(
        "batch.images", (step.batch, *network.in_shape), step.table.image_bits, ACTIVATION, OWNER
    )
    lowering.values.outputs[network.source], lowering.values.makers[images] = Stored(images), IMAGES
    program.emit("deployed network", "pack", OWNER, writes=deployed)
    program.emit("load batch", "load", OWNER, writes=(images,))
    lowering.forward(layers, keep=False, training=False)
    (logits,) = lowering.values.of([layers[-1].name])
    program.emit("result", "forward", OWNER, operands=(("logits", logits),), reads=deployed)
    return program.finish()


def float_inference(network: Network, step: Step, *, packed: bool) -> Schedule:
    """The same of one image through what a training leaves: blocks that were packed, or latent weights.

    The tensors of the network have the names that they have in the training, and are resident.
    """
    build = Builder(network, replace(step, batch=1))
    names: tuple[str, ...] = ()
    for block in build.network.blocks:
        if packed:
            fixed = build.fixed(block)
            held = {name: (*found, *fixed[name]) for name, found in build.packed(block, "after").items()}
            build.lowering.held.update(held)
            names += tuple(name for found in held.values() for name in found)
        else:
            build.train(block, head=False, states=False)
    build.program.emit("deployed network", "pack", OWNER, writes=names)
    schedule = _one_image(build)
    tensors = {n: replace(t, resident=t.resident or n in names) for n, t in schedule.tensors.items()}
    return replace(schedule, operations=schedule.operations[1:], tensors=tensors)


def integer_inference(network: Network, form: IntegerForm, *, twice: bool) -> Schedule:
    """The same of one image on integers, through the weights as a training holds them.

    Sums wait in a buffer until the largest is known, or, ``twice``, are made again.
    """
    build = IntegerBuilder(network, Step(batch=1), replace(form, draws=False), twice)
    for block in build.network.blocks:
        build.train(block, head=False)
    return _one_image(build)


def _one_image(build: Builder) -> Schedule:
    """Forward, from an image in RAM to logits."""
    network = build.network
    images = build.program.tensor(
        "batch.images", (1, *network.in_shape), build.step.table.image_bits, ACTIVATION, OWNER
    )
    lowering, layers = build.lowering, build.network.layers
    lowering.values.outputs[network.source] = Stored(images, maker=IMAGES)
    lowering.values.makers[images] = IMAGES
    build.program.emit("load batch", "load", OWNER, results=(("images", images),))
    lowering.forward(layers, keep=False, training=False)
    (logits,) = lowering.values.of([layers[-1].name])
    build.program.emit("result", "forward", OWNER, operands=(("logits", logits),))
    return build.finish()
