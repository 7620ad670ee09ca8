"""The float step in C: the statements of its operations, and the functions that these need."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from torch import Tensor

from blockwise.firmware.emit.floats.moves import FIRST, first_values
from blockwise.firmware.emit.floats.operations import emitter
from blockwise.firmware.emit.floats.phases import Phase, phases
from blockwise.firmware.emit.floats.site import TURN, Site
from blockwise.firmware.emit.floats.text import number
from blockwise.firmware.emit.floats.updates import RATE
from blockwise.firmware.float_facts import FloatFacts
from devices.program.operation import Operation
from devices.program.schedule import Loop, Schedule

HEADERS = ("convolution.h", "lsq.h", "norms.h", "activations.h", "pools.h", "updates.h")
STATE = ".state"
"""In the names of what an optimizer keeps."""


class FloatOperations:
    """Every operation's functions and statements; ``address`` is where a tensor begins, as C says it."""

    def __init__(self, schedule: Schedule, facts: FloatFacts, address: Callable[[str], str]) -> None:
        self.schedule, self.facts, self.address = schedule, facts, address
        self.phases: tuple[Phase, ...] = phases(schedule)
        self._sites: dict[int, tuple[Sequence[str], Sequence[str]]] = {}

    @cached_property
    def flash(self) -> Mapping[str, int]:
        """Tensor -> the word of flash at which its first values begin; what starts at zero has none."""
        found, end = {}, 0
        for name, value in self.first.items():
            found[name] = end
            end += value.numel()
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
        found = {name for name, tensor in tensors.items() if tensor.resident}
        for operation in self.schedule.operations:
            if operation.action in ("unpack", "begins"):
                found.update(operation.writes)
        return found

    def _site(self, index: int) -> Site:
        loop = self.loop_of(index)
        operation = self.schedule.operations[index]
        return Site(index, operation, self.schedule, self.facts, self.address, self.flash, loop)

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
            self._sites[index] = site.functions, lines
        return self._sites[index]

    @property
    def statics(self) -> list[str]:
        """Static variables, and what pixels stand for."""
        pixels = self.facts.pixels
        scale, shift = (", ".join(map(number, values)) for values in (pixels.scale, pixels.shift))
        words = sum(value.numel() for value in self.first.values())
        turn = [f"static int {TURN};"] if self.schedule.loops else []
        return [
            f"static float {RATE};",
            *turn,
            f"static const float pixel_scale[] = {{{scale}}}, pixel_shift[] = {{{shift}}};",
            f"extern const uint32_t {FIRST}[{max(words, 1)}];",
        ]

    def initial(self) -> list[str]:
        """Statements that give resident tensors their first values."""
        site = Site(0, Operation("", "load", ""), self.schedule, self.facts, self.address, self.flash)
        names = (name for name, tensor in self.schedule.tensors.items() if tensor.resident)
        return [line for name in names for line in first_values(site, name)]
