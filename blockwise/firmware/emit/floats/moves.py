"""State that comes and goes: first values from flash, packing, the inputs of a block behind finished ones."""

import math

from blockwise.firmware.emit.floats.operands import Operands
from blockwise.firmware.emit.floats.places import no_form
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number
from blockwise.firmware.emit.floats.weights import range_of
from devices.network import Layer
from devices.network.ops import BatchNorm, FrozenNorm, ShiftedNorm
from devices.program.operation import Derived, Operand, Stored
from devices.program.state import FROZEN

Lines = list[str]
FIRST = "blockwise_first"
"""The array of first values in flash."""
WORD_BITS = 32
CONSTANT_STEP = f"step.{FROZEN}"


def load(site: Site) -> Lines:
    """Images and labels are written to their places before a step; results are read from theirs."""
    return []


def page_in(site: Site) -> Lines:
    """First values, from flash; optimizer states start at zero."""
    return [line for name in site.operation.writes for line in first_values(site, name)]


def first_values(site: Site, name: str) -> Lines:
    """What a tensor holds at first."""
    count, tensor = site.tensor(name).elements, site.tensor(name)
    if tensor.bits < WORD_BITS:  # codes of what is not trained
        packed = f"(const uint8_t *)({FIRST} + {site.flash[name]})"
        return [call("copy_bytes", site.bytes(name), packed, tensor.bytes)]
    if name not in site.flash:
        return [call("fill_floats", site.floats(name), count, "0.0f")]
    return [call("copy_floats", site.floats(name), from_flash(site, name), count)]


def from_flash(site: Site, name: str) -> str:
    """A pointer to the first values of a tensor."""
    return f"(const float *)({FIRST} + {site.flash[name]})"


def deployed(site: Site) -> Lines:
    """The packed network is there at the start, made of the first values; at the end it is what is left."""
    found = []
    for name in site.operation.writes:
        layer = max((x for x in site.schedule.layers if name.startswith(f"{x}.")), key=len)
        found += _packed(site, site.schedule.layers[layer], name, from_flash_of=True)
    return found


def pack(site: Site) -> Lines:
    """The layer as it is deployed: codes and constants, a norm folded into scale and shift."""
    return [line for name in site.operation.writes for line in _packed(site, site.layer, name)]


def _packed(site: Site, layer: Layer, name: str, *, from_flash_of: bool = False) -> Lines:
    def value(what: str) -> str:
        tensor = f"{layer.name}.{what}"
        return from_flash(site, tensor) if from_flash_of else site.floats(tensor)

    what, levels, op = (
        name[len(layer.name) + 1 :].split(".")[0],
        site.facts.quantizers.get(layer.name),
        layer.op,
    )
    to, count = site.floats(name), site.tensor(name).elements
    if what == "folded":
        if isinstance(op, ShiftedNorm):
            half, shifts = op.channels, f"{to} + {op.channels}"
            return [
                call("copy_floats", to, value("running"), half),
                call("copy_floats", shifts, value("bias"), half),
            ]
        if isinstance(op, FrozenNorm):
            return [call("copy_floats", to, value("running"), count)]
        assert isinstance(op, BatchNorm)
        pair = value("bias") if op.biases else "0"
        return [call("fold", op.channels, value("running"), pair, number(op.eps), to)]
    if what == "codes" and levels is not None:
        size = f"size_of(*({value('step' if layer.trained.levels else CONSTANT_STEP)}))"
        return [
            call(
                "pack_weights", site.bytes(name), levels.bits, range_of(levels), value("weight"), count, size
            )
        ]
    if what == "step" and op.accumulates:
        return [f"*{to} = size_of(*({value('step')}));"]
    return [call("copy_floats", to, value("weight" if what == "codes" else what), count)]


def gather(site: Site) -> Lines:
    """Room for the inputs of a block: zeros, to which codes are put."""
    tensors = (site.tensor(name) for name in site.operation.writes)
    return [call("clear_bytes", site.bytes(t.name), t.bytes) for t in tensors]


def store_input(site: Site) -> Lines:
    """One image's input beside the others'."""
    source, target = site.needed("input"), site.made("inputs")
    shape, bits = site.tensor(target).shape[1:], site.tensor(target).bits
    count = math.prod(shape)
    if isinstance(source, Stored) and bits < WORD_BITS:
        return [
            call("append_codes", site.bytes(target), bits, site.row(target), site.bytes(source.tensor), count)
        ]
    if isinstance(source, Stored):
        return [call("copy_floats", site.floats(target), site.floats(source.tensor), count)]
    where, operands = f"(struct map){map_of(1, dims_of(shape))}", Operands(site)
    if bits < WORD_BITS:
        at, first = operands.at(_as_codes(site, source), shape), site.row(target) or 0
        return [call("store_codes", where, bits, at, "held", site.bytes(target), first)]
    at = operands.at(source, shape)
    return [call("store_map", where, at, operands.begins, "held", site.floats(target))]


def _as_codes(site: Site, operand: Operand) -> Operand:
    """The codes themselves, which stand elsewhere and are the same."""
    if isinstance(operand, Stored):
        return Stored(operand.tensor)
    layer = site.schedule.layers[operand.layer]
    if not layer.op.rearranges:
        raise no_form(layer)
    return Derived(operand.layer, tuple(_as_codes(site, x) for x in operand.inputs))
