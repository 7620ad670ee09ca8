"""Trainings whose power is cut: each has to end with the bits of the one that is not disturbed.

The program trains under an emulator that takes its power away behind some instruction, fills RAM with noise
and starts it again. What it answers is held against the reference from the step on that it goes on from, and
that step must be no earlier than the last one whose save was over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from blockwise.firmware.check import records
from blockwise.firmware.check.reference import Exchange, Reference
from blockwise.firmware.check.subject import Subject
from blockwise.firmware.emulators.nor_flash import NorFlash, flash_of
from blockwise.firmware.emulators.power import Board, Meter, Powered
from blockwise.firmware.emulators.program import program_of
from blockwise.firmware.slots import COUNT
from devices.program.schedule import Tensor


@dataclass(frozen=True)
class Undisturbed:
    """``states`` are told one behind the other, a row each, the one of ``steps[i]`` steps at place i.

    Of each state those bytes count that are ``defined``: where blocks are trained one by one, what a block
    has in its phase is nothing before that begins.

    Of so many ``instructions``, ``saves`` are those between which something is saved, and ``writing`` those
    before which flash is on its way, by what it does.
    """

    states: NDArray[np.uint8]
    defined: NDArray[np.bool_]
    steps: tuple[int, ...]
    instructions: int = 0
    saves: tuple[tuple[int, int], ...] = ()
    writing: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """Behind which instruction from power-on, what that was in, and the step that training went on from."""

    instruction: int
    within: str
    steps: int  # that were behind
    restored: int = 0  # of them


@dataclass(frozen=True)
class Trial:
    """One training; ``wrong`` is empty if it ended with the bits of the undisturbed one."""

    cuts: tuple[Cut, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Where a program's answer begins in the reference's, how many whole states it has; or what is wrong."""

    first: int
    states: int
    wrong: str = ""


FIRST = b"\xff"
"""What RAM is full of when a training begins: another value may take another number of instructions."""


class PowerCuts:
    """Trials of one program. ``elf`` is the check of a project that saves every ``every`` steps."""

    def __init__(self, subject: Subject, reference: Reference, steps: int, every: int, elf: Path) -> None:
        """Raises ValueError where the program is wrong without any cut."""
        self._subject, self._every, self._folder = subject, every, elf.parent
        self._program = program_of(elf)
        self.tensors = reference.tensors
        exchanges = [told for told in reference.exchanges(steps) if not told.tensors]
        (self._folder / records.INPUT).write_bytes(b"".join(exchange.sent for exchange in exchanges))
        self.undisturbed = self._measured(exchanges)

    def trial(self, cuts: Sequence[int], seed: int) -> Trial:
        """A training whose power goes behind ``cuts[i]`` instructions from its i-th beginning."""
        board, made = self._board(seed), list[Cut]()
        for count in (*cuts, 0):
            powered = board.power(count, ram=None if made else FIRST)
            found = self._found()
            wrong = found.wrong or self._lost(found, made)
            if wrong:
                return Trial(tuple(made), (wrong, *board.flash.refused))
            restored, behind = self._steps(found)
            made[-1:] = [replace(cut, restored=restored) for cut in made[-1:]]
            if powered.exit_code is not None or powered.fault is not None:
                return Trial(tuple(made), tuple(self._ended(powered, found, board.flash)))
            made.append(Cut(count, powered.within, behind))
        raise AssertionError("a training without a cut ends")

    def spoiled(self, seed: int, byte: int, slot: int) -> int:
        """Steps that are behind where a program goes on that finds one wrong bit in a slot: -1 for none.

        The undisturbed training has ended, so both slots are written.
        """
        board = self._board(seed)
        board.flash.content[:] = self._flash.content
        board.flash.content[slot * board.flash.span.size_bytes // COUNT + byte] ^= 1 << seed % 8
        board.power()
        first = self._found().first
        return self.undisturbed.steps[first] if first else -1

    def written(self) -> tuple[tuple[str, int], ...]:
        """What an undisturbed training does to flash: erases and programmed units, by their offsets."""
        return tuple(self._flash.begun)

    def _board(self, seed: int) -> Board:
        flash = flash_of(self._subject.device, self._subject.memory)
        assert flash is not None  # or the program saved nothing
        return Board(
            self._program, self._subject.device, self._subject.memory, self._folder, flash, Random(seed)
        )

    def _measured(self, exchanges: Sequence[Exchange]) -> Undisturbed:
        states, known, steps = _told(exchanges, self.tensors)
        self.undisturbed = Undisturbed(states, known, steps)
        board = self._board(0)
        powered, found = board.power(ram=b"\x00"), self._found()
        wrong = found.wrong or next(iter(self._ended(powered, found, board.flash)), "")
        if wrong:
            raise ValueError(wrong)
        board = self._board(0)
        meter = Meter(self._program, board.flash)
        board.power(watcher=meter, ram=FIRST)
        self._flash = board.flash
        return Undisturbed(
            states, self._defined(known), steps, meter.total, tuple(meter.saves), meter.writing
        )

    def _defined(self, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The known bytes that do not depend on what RAM held at power-on; at the end that must be all."""
        told = np.frombuffer(self._taken(records.OUTPUT), np.uint8)
        defined: NDArray[np.bool_] = told.reshape(self.undisturbed.states.shape) == self.undisturbed.states
        if not defined[-1][known[-1]].all():
            raise ValueError("what the training ends with depends on what RAM held at power-on")
        return defined & known

    def _found(self) -> Found:
        """Of check.out: from the step on that the program says, it must be like the reference's."""
        told = np.frombuffer(self._taken(records.OUTPUT), np.uint8)
        restored = self._taken(records.RESTORED)
        behind = int.from_bytes(restored, "little")
        if behind not in self.undisturbed.steps:
            return Found(0, 0, f"it goes on from step {behind}, which there is not")
        first, size = self.undisturbed.steps.index(behind), self.undisturbed.states.shape[1]
        count = len(told) // size
        if first + count > len(self.undisturbed.states):
            return Found(first, 0, f"{count} states from step {behind} on, which are too many")
        rows = slice(first, first + count)
        wanted, defined = self.undisturbed.states[rows], self.undisturbed.defined[rows]
        differs = ((told[: count * size].reshape(count, size) != wanted) & defined).any(1)
        if differs.any():
            at = first + int(differs.argmax())
            return Found(first, at - first, f"another state after {self.undisturbed.steps[at]} steps")
        return Found(first, count)

    def _taken(self, name: str) -> bytes:
        """What the program left behind, which the next one does not find."""
        path = self._folder / name
        content = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        return content

    def _steps(self, found: Found) -> tuple[int, int]:
        """Those behind where it went on, and where it was cut."""
        steps = self.undisturbed.steps
        return steps[found.first], steps[found.first + max(found.states, 1) - 1]

    def _lost(self, found: Found, cuts: Sequence[Cut]) -> str:
        """A save is over when the step behind it is."""
        saved = max(((cut.steps - 1) // self._every * self._every for cut in cuts), default=0)
        restored = self.undisturbed.steps[found.first]
        if found.states and restored < saved:
            return f"it goes on from step {restored}, though step {saved} was saved"
        return ""

    def _ended(self, powered: Powered, found: Found, flash: NorFlash) -> Iterator[str]:
        yield from flash.refused
        if powered.fault is not None:
            yield f"stopped: {powered.fault}"
        elif powered.exit_code:
            yield f"the program ended with code {powered.exit_code}"
        elif found.first + found.states != len(self.undisturbed.states):
            yield "it ended before the last step"


def _told(
    exchanges: Sequence[Exchange], tensors: Sequence[Tensor]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], tuple[int, ...]]:
    """The states, which of their bytes are known, and how many steps are behind each."""
    states, known, steps, behind = list[bytes](), list[NDArray[np.bool_]](), list[int](), 0
    sizes = [tensor.bytes for tensor in tensors]
    for exchange in exchanges:
        behind += exchange.step
        if exchange.state is not None:
            states.append(b"".join(exchange.state))
            known.append(np.repeat([tensor.name not in exchange.unknown for tensor in tensors], sizes))
            steps.append(behind)
    rows = np.frombuffer(b"".join(states), np.uint8).reshape(len(states), -1)
    return rows, np.stack(known), tuple(steps)


def draw(undisturbed: Undisturbed, count: int, seed: int) -> Iterator[tuple[int, ...]]:
    """So many random cuts, each of a training of its own.

    Half are anywhere, the others in a save, while flash is erased, and while it is programmed. Every fifth
    training is cut a second time, soon after it has begun again.
    """
    random, (soon, _) = Random(seed), undisturbed.saves[0]
    kinds = ("anywhere", "anywhere", "anywhere", "save", *undisturbed.writing)
    for number in range(count):
        first = _drawn(undisturbed, kinds[number % len(kinds)], random)
        yield (first, random.randrange(soon) + 1) if number % 5 == 4 else (first,)


def _drawn(undisturbed: Undisturbed, kind: str, random: Random) -> int:
    """Instructions that are behind when power goes: 1 or more."""
    if kind in undisturbed.writing:
        return random.choice(undisturbed.writing[kind])
    low, high = random.choice(undisturbed.saves) if kind == "save" else (0, undisturbed.instructions)
    return random.randrange(low, high) + 1
