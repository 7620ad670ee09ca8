"""Float regimes in C: the kernels of every operation, and what stands around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from blockwise.firmware.emit import persist, phased, predict
from blockwise.firmware.emit.floats.moves import FIRST
from blockwise.firmware.emit.floats.step import HEADERS, FloatOperations
from blockwise.firmware.emit.floats.text import number
from blockwise.firmware.emit.floats.updates import RATE
from blockwise.firmware.emit.floats.zeroth_order import SEED
from blockwise.firmware.emit.text import address, indented
from blockwise.firmware.float_facts import FloatFacts
from blockwise.firmware.prediction import prediction
from blockwise.firmware.program import Firmware
from devices.program.operation import Operation

DECLARATIONS = (
    "/* Take the first values from flash; the seed draws none, but random directions if there are any. */",
    "void blockwise_init(uint32_t seed);",
    "",
    "/* The learning rate of the steps to come, at first the highest of the run's. */",
    "void blockwise_set_learning_rate(float rate);",
    "/* The same as a saved training and check.c have it: the bits of the float. */",
    "void blockwise_set_rate_bits(uint32_t bits);",
    "",
    "/* CRC-32 of the bytes of blockwise_state. */",
    "uint32_t blockwise_checksum(void);",
)
SEED_DRAWN = f"/* Of which directions are drawn, with the number of the step. */\nstatic uint32_t {SEED};"
WORDS_A_LINE = 10
FLOAT_BYTES = 4


@dataclass(frozen=True, eq=False)
class FloatDialect:
    """Of one firmware."""

    firmware: Firmware
    prefix: str = ""  # of the names of functions that operations need
    main: "FloatDialect | None" = None  # of the training that a prediction stands beside

    @cached_property
    def predictor(self) -> "FloatDialect | None":
        """Of the prediction of one image, if that has room."""
        found = prediction(self.firmware)
        return None if found is None else FloatDialect(found, f"{predict.PREFIX}_", self)

    @cached_property
    def _operations(self) -> FloatOperations:
        firmware, facts = self.firmware, self.firmware.arithmetic
        assert isinstance(facts, FloatFacts)
        return FloatOperations(firmware.schedule, facts, self._address, self.prefix)

    def _address(self, name: str) -> str:
        """Of a tensor's first byte: in RAM or, of what is read in place, behind the first values in flash."""
        if not self.firmware.schedule.tensors[name].mapped:
            return address(self.firmware, name)
        return f"((const uint8_t *)({FIRST} + {(self.main or self)._operations.flash[name]}))"

    @property
    def headers(self) -> Sequence[str]:
        """Of all kernels that float steps may call."""
        facts = self.firmware.arithmetic
        assert isinstance(facts, FloatFacts)
        more = ("floats/directions.h",) * (facts.directions is not None) + ("floats/told.h",) * facts.tells
        return (*HEADERS, "common/crc32.h", *more)

    @property
    def statics(self) -> Sequence[str]:
        """All that a step keeps beside the plan's RAM: the learning rate, and the seed of directions."""
        return [*self._operations.statics, *([SEED_DRAWN] if self._directions else [])]

    @property
    def _directions(self) -> bool:
        """Whether parameters go along directions."""
        facts = self.firmware.arithmetic
        assert isinstance(facts, FloatFacts)
        return facts.directions is not None

    def operands(self, index: int, operation: Operation) -> Sequence[str]:
        """How the operation's operands are made, element by element."""
        return self._operations.emitted(index)[0]

    def operation(self, index: int, operation: Operation) -> Sequence[str]:
        """The statements."""
        return self._operations.emitted(index)[1]

    @property
    def functions(self) -> Sequence[str]:
        """init, the learning rate, checksum."""
        checksum = [
            "uint32_t crc = CRC32_START;",
            "for (int i = 0; i < BLOCKWISE_TENSORS; ++i)",
            "    for (uint32_t byte = 0; byte < blockwise_state[i].size; ++byte)",
            "        crc = crc32_next(crc, blockwise_state[i].bytes[byte]);",
            "return crc32_end(crc);",
        ]
        facts, predictor = self.firmware.arithmetic, self.predictor
        assert isinstance(facts, FloatFacts)
        rate = f"{RATE} = {number(facts.rate)};"
        seed = f"{SEED} = seed;" if self._directions else "(void)seed;"
        first = [seed, *self._operations.initial(), rate, *persist.anew(self.firmware)]
        return [
            f"void blockwise_init(uint32_t seed) {{\n{indented(first)}}}",
            f"void blockwise_set_learning_rate(float rate) {{ {RATE} = rate; }}",
            f"void blockwise_set_rate_bits(uint32_t bits) {{ {RATE} = from_bits(bits); }}",
            f"uint32_t blockwise_checksum(void) {{\n{indented(checksum)}}}",
            *(predict.functions(predictor.firmware, predictor, "largest_of", "float") if predictor else ()),
        ]

    @property
    def declarations(self) -> Sequence[str]:
        """Their declarations, and those of phases."""
        predicts = ("", *predict.DECLARATIONS) if self.predictor else ()
        return (*DECLARATIONS, phased.declarations(self.firmware), *predicts)

    @property
    def constant_bytes(self) -> int:
        """Of the first values."""
        return FLOAT_BYTES * len(self._operations.words)

    @property
    def kept(self) -> str:
        """The seed of directions, where there are any."""
        return SEED if self._directions else "0"

    @property
    def rate_bits(self) -> str:
        """Of the float."""
        return f"bits_of({RATE})"

    @property
    def sources(self) -> dict[str, str]:
        """The first values of all tensors."""
        words = [f"0x{word:08X}u" for word in self._operations.words]
        rows = [words[i : i + WORDS_A_LINE] for i in range(0, len(words), WORDS_A_LINE)]
        lines = "".join(f"    {', '.join(row)},\n" for row in rows)
        said = (
            "/* What tensors hold at first: bits of float32, in the board's order. Generated: do not edit. */"
        )
        declared = f"#include <stdint.h>\n\nextern const uint32_t {FIRST}[{len(words)}];"
        return {"first.c": f"{said}\n{declared}\nconst uint32_t {FIRST}[{len(words)}] = {{\n{lines}}};\n"}
