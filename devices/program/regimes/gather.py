"""Layers that run one image at a time: their outputs fill the batch of inputs of the layers behind."""

from collections.abc import Callable, Sequence

from devices.network import Layer
from devices.program.accountings import FLOAT_BITS
from devices.program.lower import Lowering
from devices.program.operation import Stored
from devices.program.regimes.builder import Builder
from devices.program.schedule import ACTIVATION
from devices.program.values import levels_of, made_at_rest, maker_of


def gather(
    build: Builder, layers: Sequence[Layer], owner: str, run: Callable[[Lowering], None], what: str = "inputs"
) -> None:
    """Run ``layers`` by ``run``, which lowers those of one image; their outputs go to the block ``owner``.

    ``what`` they are to it is in their name.

    The operations of one image stand for those of all; the multiply-accumulates are the batch's. Where the
    batch is one image, its output is all that there is to fill.
    """
    program, lowering, last = build.program, build.lowering, layers[-1]
    one = build.lower(1)
    one.values.take_over(lowering.values, layers[0].inputs[0])
    if build.step.batch == 1:
        run(one)
        lowering.values.take_over(one.values, last.name)
        return
    bits, shape = _bits(build, last.name), (build.step.batch, *last.shape)
    name = program.fresh(f"{owner}.{what}")
    inputs = program.tensor(name, shape, bits or FLOAT_BITS, ACTIVATION, owner)
    program.emit("gather inputs", "load", owner, subject=owner, writes=(inputs,))
    with program.loop(build.step.batch):
        run(one)
        (made,) = one.values.of([last.name])
        program.emit(
            "store input", "load", owner, subject=owner, operands=(("input", made),),
            results=(("inputs", inputs),),
        )  # fmt: skip
    lowering.values.outputs[last.name] = Stored(inputs)
    lowering.values.levels[inputs] = levels_of(made) if bits else ()
    lowering.values.makers[inputs] = maker_of(made) if bits else ""
    lowering.values.at_rest.update([inputs] if bits and made_at_rest(made) else [])


def _bits(build: Builder, name: str) -> int | None:
    """Of the codes that a layer's output is; None of floats, as are codes of several quantizers together."""
    makers = _makers(build, name)
    if len(makers) != 1 or not makers[0].op.makes_codes:
        return None
    return build.step.bits.activation_of(makers[0])


def _makers(build: Builder, name: str) -> list[Layer]:
    """The layers whose outputs stand side by side in that of the layer ``name``."""
    layer = build.program.layers.get(name)
    if layer is None:  # images
        return []
    if not layer.op.passes_codes:
        return [layer]
    found = {maker.name: maker for source in layer.inputs for maker in _makers(build, source)}
    return list(found.values())
