"""The functions of blockwise.h that depend on the arithmetic: first weights, learning rate, checksum."""

from collections.abc import Sequence

from blockwise.firmware.emit import persist
from blockwise.firmware.emit.integers.context import coding
from blockwise.firmware.emit.text import address, indented, literal
from blockwise.firmware.layout import filters_shape
from blockwise.firmware.program import Firmware
from blockwise.integer.arithmetic import Place
from blockwise.integer.nitro import kaiming_bound
from blockwise.integer.residue import LEVELS, LOW
from blockwise.integer.tensor import INT4, INT8
from devices.program.integer import COUNT, SEED, waiting_of

DECLARATIONS = (
    "/* Draw the first weights from a seed, in the order of docs/integer-arithmetic.md. */",
    "void blockwise_init(uint32_t seed);",
    "",
    "/* The learning rate in bits, -1 to 7: 5, after half of a training 4, after three quarters 3. */",
    "void blockwise_set_mu(int32_t mu);",
    "/* The same as a saved training and check.c have it, in 32 bits. */",
    "void blockwise_set_rate_bits(uint32_t mu);",
    "",
    "/* CRC-32 of all weights: the digest of the same training on a computer. */",
    "uint32_t blockwise_checksum(void);",
)


def functions(firmware: Firmware) -> Sequence[str]:
    """Complete."""
    return [
        _function("void blockwise_init(uint32_t seed)", [*_first(firmware), *_beside(firmware)]),
        "void blockwise_set_mu(int32_t bits) { mu = bits; }",
        "void blockwise_set_rate_bits(uint32_t bits) { mu = (int32_t)bits; }",
        _function("uint32_t blockwise_checksum(void)", _checksum(firmware)),
    ]


def _beside(firmware: Firmware) -> Sequence[str]:
    seed = ["directions_seed = seed;"] if firmware.facts.directions else []
    return [*_nothing_waits(firmware), f"mu = {firmware.facts.mu};", *seed, *persist.anew(firmware)]


def _function(head: str, lines: Sequence[str]) -> str:
    return f"{head} {{\n{indented(lines)}}}"


def _first(firmware: Firmware) -> list[str]:
    """Of what is there throughout; for what a block's turn brings the seed is kept."""
    tensors = firmware.schedule.tensors
    lines = [f"*{_word(firmware, SEED)} = seed;"] if SEED in tensors else []
    for name in firmware.facts.places:
        if tensors[f"{name}.weight"].resident:
            generator = f"{name}.generator"
            target = f"*{_word(firmware, generator)} = " if generator in tensors else ""
            lines.append(f"{target}{drawn(firmware, name, 'seed')};")
    return lines


def drawn(firmware: Firmware, name: str, seed: str) -> str:
    """Draws the first weights of a layer; the state of its generator behind them."""
    low, levels = _range(firmware, name, firmware.facts.places[name])
    start = f"first_state({seed}, {firmware.facts.streams[name]})"
    return f"first_weights({filters(firmware, name)}, {low}, {levels}, {start})"


def _word(firmware: Firmware, tensor: str) -> str:
    return f"(uint32_t *)({address(firmware, tensor)})"


def _nothing_waits(firmware: Firmware) -> list[str]:
    """Of gradients that are added up for a jump, and their batches; what is a phase's own, that clears."""
    tensors = firmware.schedule.tensors
    names = [COUNT, *map(waiting_of, firmware.facts.places)]
    kept = [tensors[name] for name in names if name in tensors and tensors[name].resident]
    return [f"clear_words((int32_t *)(void *)({address(firmware, t.name)}), {t.elements});" for t in kept]


def _range(firmware: Firmware, name: str, place: Place) -> tuple[int, int]:
    """The least first weight, and how many there are."""
    stored = coding(firmware, f"{name}.weight")
    bound = kaiming_bound(place.shape)
    return {
        "INT8": (INT8.low, INT8.high - INT8.low + 1),
        "RESIDUE": (LOW, LEVELS),
        "STATES": (INT4.low, INT4.high - INT4.low + 1),
        "INT32": (-bound, 2 * bound + 1),
    }[stored]


def filters(firmware: Firmware, name: str) -> str:
    """The weights of a layer, whose order in memory is another than that in which numbers are drawn."""
    tensor, layer = f"{name}.weight", firmware.layers[name]
    outputs, channels, rows, columns = filters_shape(firmware, layer)
    at = f"(uint8_t *)({address(firmware, tensor)})"
    return literal("filters", {
        "at": at, "coding": coding(firmware, tensor), "filters": outputs, "channels": channels,
        "taps": rows * columns,
    })  # fmt: skip


def _checksum(firmware: Firmware) -> list[str]:
    """Of the weights that outlive a block's turn."""
    names = [name for name in firmware.facts.places if f"{name}.weight" not in firmware.brought]
    lines = [f"crc = weights_crc({filters(firmware, name)}, crc);" for name in names]
    return ["uint32_t crc = CRC32_START;", *lines, "return crc32_end(crc);"]
