"""Integer regimes in C: the kernels of every operation, and what stands around them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from blockwise.firmware.emit import phased, predict, weights
from blockwise.firmware.emit.integers import backward, forward, state, updates, zeroth_order
from blockwise.firmware.emit.integers.context import Context
from blockwise.firmware.emit.integers.exponents import Exponents
from blockwise.firmware.emit.text import flash_offsets
from blockwise.firmware.prediction import prediction
from blockwise.firmware.program import Firmware
from blockwise.integer.nitro import Nitro
from blockwise.integer.xorshift import WORD
from devices.program.execute.frame import found_for
from devices.program.operation import Operation

Statements = Callable[[Context], Sequence[str]]

LAYERS: Mapping[tuple[str, str], Statements] = {
    ("conv", "forward"): forward.sums,
    ("conv", "largest sum"): forward.largest_sum,
    ("linear", "forward"): forward.sums,
    ("linear", "largest sum"): forward.largest_sum,
    ("relu", "forward"): forward.requantize,
    ("relu", "backward"): backward.relu,
    ("quantize", "forward"): forward.requantize,
    ("quantize", "backward"): backward.requantized,
    ("max_pool", "forward"): forward.max_pool,
    ("max_pool", "backward"): backward.max_pool,
    ("avg_pool", "forward"): forward.avg_pool,
    ("avg_pool", "backward"): backward.avg_pool,
    ("cross_entropy", "forward"): forward.loss,
    ("cross_entropy", "backward"): backward.stay,
}
"""Kind of layer and action, as :mod:`blockwise.integer.on_board.machine` has them -> the statements."""

OTHERS: Mapping[str, Statements] = {
    "load batch": forward.load,
    "backward (input)": backward.input_sums,
    "backward (input, largest)": backward.largest_input_sum,
    "backward (requantize)": backward.requantize,
    "backward (weight)": updates.weight_sums,
    "backward (weight, largest)": updates.largest_weight_sum,
    "backward (weight) and update": updates.update_by_sums,
    "update": updates.update,
    "jump": updates.jump,
    "count batch": updates.count_batch,
    "begins": updates.begin,
    "ends": lambda c: (),
    "result": lambda c: (),
    "zero differences": zeroth_order.zero,
    "perturb forth": zeroth_order.forth,
    "perturb back": zeroth_order.back,
    "restore": zeroth_order.restore,
    "update along directions": zeroth_order.update,
}


@dataclass(frozen=True, eq=False)
class IntegerDialect:
    """Of one firmware."""

    firmware: Firmware

    @property
    def scaled(self) -> bool:
        """Whether there are no exponents and no largest sums."""
        return isinstance(self.firmware.facts.arithmetic, Nitro)

    @cached_property
    def exponents(self) -> Exponents:
        """The variables of the step."""
        return Exponents(self.firmware.schedule, not self.scaled)

    @cached_property
    def predictor(self) -> "IntegerDialect | None":
        """Of the prediction of one image, if that has room."""
        found = prediction(self.firmware)
        return None if found is None else IntegerDialect(found)

    @property
    def headers(self) -> Sequence[str]:
        """Of all kernels that integer steps may call."""
        own = ["nitro.h"] if self.scaled else ["requantize.h", "update.h"]
        shared = any(layer.is_shared for layer in self.firmware.network.layers)
        own += ["share_steps.h"] if shared and not self.scaled else []
        own += ["zeroth.h"] if self.firmware.facts.directions else []
        return [f"integer/{name}" for name in ("activation.h", "loss.h", *own, "pool.h", "state.h")]

    @property
    def statics(self) -> Sequence[str]:
        """All that a step keeps beside the plan's RAM."""
        lines = ["/* The learning rate in bits. */", "static int32_t mu = 0;"]
        count = max(self.exponents.count, self.predictor.exponents.count if self.predictor else 0)
        if not self.scaled:
            lines += [
                "/* The largest of the sums that were made last. */",
                "static uint32_t largest;",
                "/* Exponents of activations on their way to a loss. */",
                f"static int16_t exponents[{count}];",
            ]
        if self.constant_bytes:
            lines += ["/* Weights in flash. */", weights.declaration(self.firmware)]
        if self.firmware.facts.directions:
            lines += [
                "/* Of which directions are drawn, with the number of the step. */",
                f"static uint32_t directions_seed = {self.firmware.seed & WORD}u;",
            ]
        return lines

    def operands(self, index: int, operation: Operation) -> Sequence[str]:
        """None: kernels are given addresses."""
        return ()

    def operation(self, index: int, operation: Operation) -> Sequence[str]:
        """By the kind of its layer and its action, else by the action alone."""
        made = found_for(LAYERS, OTHERS, operation, self.firmware.layers.get(operation.layer))
        if made is None:
            raise KeyError(operation.action)
        loops = self.firmware.schedule.loops
        loop = next((loop for loop in loops if loop.first <= index <= loop.last), None)
        batch = self.firmware.batch if loop is None else loop.images
        return made(Context(self.firmware, self.exponents, operation, batch, loop))

    @property
    def functions(self) -> Sequence[str]:
        """init, the learning rate, checksum; prediction where it has room."""
        found, predictor = state.functions(self.firmware), self.predictor
        if predictor is None:
            return found
        return [*found, *predict.functions(predictor.firmware, predictor, "predicted", "int8_t")]

    @property
    def constant_bytes(self) -> int:
        """Of weights that are read in place, or copied in a block's turn; others are drawn."""
        return flash_offsets(self.firmware)[""]

    @property
    def kept(self) -> str:
        """The seed of directions, where there are any."""
        return "directions_seed" if self.firmware.facts.directions else "0"

    @property
    def rate_bits(self) -> str:
        """mu."""
        return "(uint32_t)mu"

    @property
    def sources(self) -> Mapping[str, str]:
        """The file of weights in flash, if there are any."""
        return {weights.FROZEN: weights.frozen(self.firmware)} if self.constant_bytes else {}

    @property
    def declarations(self) -> Sequence[str]:
        """Their declarations."""
        predicts = ("", *predict.DECLARATIONS) if self.predictor else ()
        return (*state.DECLARATIONS, *filter(None, [phased.declarations(self.firmware)]), *predicts)
