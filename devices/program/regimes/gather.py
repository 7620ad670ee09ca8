"""Blocks that run one image at a time: their outputs fill the batch of inputs of the block behind them."""

from collections.abc import Callable

from devices.program.accountings import FLOAT_BITS
from devices.program.lower import Lowering
from devices.program.operation import Stored
from devices.program.regimes.builder import Builder
from devices.program.schedule import ACTIVATION
from devices.program.values import levels_of, maker_of


def gather(build: Builder, index: int, run: Callable[[Lowering], None]) -> None:
    """Run the blocks before block ``index`` by ``run``, which lowers those of one image.

    The operations of one image stand for those of all; the multiply-accumulates are the batch's.
    """
    blocks, owner, program = build.network.blocks, build.network.blocks[index].name, build.program
    output = blocks[index - 1].output
    shape = (build.step.batch, *blocks[index - 1].layers[-1].shape)
    one = build.lower(1)
    one.values.take_over(build.lowering.values, build.network.source)
    name = program.fresh(f"{owner}.inputs")
    side_by_side = len(_code_makers(build, output)) > 1  # codes of several quantizers are held as floats
    floats = blocks[index].layers[0].reads in ("floats", "signed") or side_by_side
    bits = FLOAT_BITS if floats else build.step.bits.activation_of(blocks[index - 1].layers[-1])
    inputs = program.tensor(name, shape, bits, ACTIVATION, owner)
    program.emit("gather inputs", "load", owner, subject=owner, writes=(inputs,))
    with program.loop(build.step.batch):
        run(one)
        (made,) = one.values.of([output])
        program.emit(
            "store input", "load", owner, subject=owner, operands=(("input", made),),
            results=(("inputs", inputs),),
        )  # fmt: skip
    build.lowering.values.outputs[output] = Stored(inputs)
    build.lowering.values.levels[inputs] = () if side_by_side else levels_of(made)
    build.lowering.values.makers[inputs] = "" if side_by_side else maker_of(made)


def _code_makers(build: Builder, name: str) -> set[str]:
    """The layers whose outputs stand side by side in that of the layer ``name``."""
    layer = build.program.layers.get(name)
    if layer is None or not layer.op.passes_codes:
        return {name}
    return {maker for source in layer.inputs for maker in _code_makers(build, source)}
