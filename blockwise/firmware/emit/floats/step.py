"""The float step in C: the statements of its operations, and the functions that these need."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from torch import Tensor

from blockwise.firmware.emit.floats.moves import FIRST, first_values
from blockwise.firmware.emit.floats.operations import emitter
from blockwise.firmware.emit.floats.order import check_features, to_board, words_of, words_of_codes
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import number
from blockwise.firmware.emit.floats.updates import RATE
from blockwise.firmware.float_facts import FloatFacts
from blockwise.firmware.slots import BRINGS
from devices.program.execute.memory import WORD_BITS
from devices.program.operation import Operation
from devices.program.schedule import Loop, Schedule

HEADERS = tuple(
    f"floats/{name}.h"
    for name in ("convolution", "lsq", "shares", "norms", "activations", "attention", "pools", "updates")
)
WORD_BYTES = 4
STATE = ".state"
"""In the names of what an optimizer keeps."""


class FloatOperations:
    """Every operation's functions and statements; ``address`` is where a tensor begins, as C says it."""

    def __init__(
        self, schedule: Schedule, facts: FloatFacts, address: Callable[[str], str], prefix: str = ""
    ) -> None:
        """``prefix`` begins the names of functions."""
        self.schedule, self.facts, self.address, self.prefix = schedule, facts, address, prefix
        self._sites: dict[int, tuple[Sequence[str], Sequence[str]]] = {}
        check_features(schedule)

    @cached_property
    def flash(self) -> Mapping[str, int]:
        """Tensor -> the word of flash at which its first values begin; what starts at zero has none."""
        found, end = {}, 0
        for name in self.first:
            found[name] = end
            end += -(-self.schedule.tensors[name].bytes // WORD_BYTES)
        return found

    @cached_property
    def first(self) -> Mapping[str, Tensor]:
        """The first values, but for optimizer states of zero."""
        needed = self._needed()
        return {
            name: value
            for name, value in self.facts.first.items()
            if name in needed and (STATE not in name or bool(value.any()))
        }

    def _needed(self) -> set[str]:
        tensors = self.schedule.tensors
        found = {name for name, tensor in tensors.items() if tensor.resident or tensor.mapped}
        for operation in self.schedule.operations:
            if operation.action in BRINGS:
                found.update(operation.writes)
        return found

    def _site(self, index: int) -> Site:
        loop = self.loop_of(index)
        operation = self.schedule.operations[index]
        return Site(index, operation, self.schedule, self.facts, self.address, self.flash, loop, self.prefix)

    def loop_of(self, index: int) -> Loop | None:
        """The loop around an operation."""
        return next((x for x in self.schedule.loops if x.first <= index <= x.last), None)

    def emitted(self, index: int) -> tuple[Sequence[str], Sequence[str]]:
        """The functions that an operation needs, and its statements."""
        if index not in self._sites:
            site = self._site(index)
            lines = emitter(site.operation, self.schedule)(site)
            if any("held" in line for line in lines):
                lines = [site.declared(), *lines]
            _check_unpacked(site, lines)
            self._sites[index] = site.functions, lines
        return self._sites[index]

    @property
    def statics(self) -> list[str]:
        """Static variables, and what pixels stand for."""
        pixels = self.facts.pixels
        scale, shift = (", ".join(map(number, values)) for values in (pixels.scale, pixels.shift))
        return [
            f"static float {RATE};",
            "/* What bytes of pixels stand for, channel by channel. */",
            f"static const float pixel_scale[] = {{{scale}}}, pixel_shift[] = {{{shift}}};",
            "/* What tensors hold at first, in flash. */",
            f"extern const uint32_t {FIRST}[{len(self.words)}];",
        ]

    @cached_property
    def words(self) -> list[int]:
        """The first values as they lie in flash."""
        tensors, found = self.schedule.tensors, list[int]()
        for name, value in self.first.items():
            bits, on_board = tensors[name].bits, to_board(self.schedule, name, value)
            found += words_of(on_board) if bits == WORD_BITS else words_of_codes(on_board, bits)
        return found or [0]

    def initial(self) -> list[str]:
        """Statements that give resident tensors their first values."""
        site = Site(0, Operation("", "load", ""), self.schedule, self.facts, self.address, self.flash)
        names = (name for name, tensor in self.schedule.tensors.items() if tensor.resident)
        return [line for name in names for line in first_values(site, name)]


def _check_unpacked(site: Site, lines: Sequence[str]) -> None:
    """Sums are never read before their filter is unpacked: whoever reads them calls what does it."""
    text = " ".join((*site.functions, *lines))
    for name in re.findall(r"\bvoid (\w*filter_\w+)\(const float \*held, int c\)", text):
        again = len(re.findall(rf"\b{name}\b", text))
        assert again > 1, f"{site.operation.name} reads sums of filters that nobody unpacks"
