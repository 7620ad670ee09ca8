"""One step watched closely: the blocks of instructions that ran, and loads and stores.

Hooks only append a number; what the numbers mean is worked out on arrays behind the step.
"""

from array import array
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blockwise.firmware.emulators.program import BETWEEN, ELSEWHERE, Program
from blockwise.firmware.emulators.run import Accesses, Instructions
from blockwise.firmware.emulators.thumb import instructions_in

if TYPE_CHECKING:
    import unicorn

SIZE_AT, WRITE_AT = 32, 48
"""Bits of a recorded number: the address below, then bytes, then whether it is written."""
_WRITE = 1 << WRITE_AT
IT_STATE = 0x0600_FC00
"""Of xPSR (Armv7-M architecture reference manual, B1.4.2)."""


class Recorder:
    """Collects what steps do, one at a time; ``accesses`` says whether loads and stores are wanted too."""

    def __init__(self, program: Program, *, accesses: bool) -> None:
        self._program, self._wants_accesses = program, accesses
        self._hooks: list[int] = []
        self.instructions: dict[int, Instructions] = {}
        self.accesses: dict[int, Accesses] = {}

    def attach(self, engine: "unicorn.Uc") -> None:
        """Hook every block, and if wanted every load and store and every beginning of an operation."""
        import unicorn

        self._blocks, self._touched = array("Q"), array("Q")
        self._starts: list[int] = []
        self._operations: list[int] = []
        self._hooks = [engine.hook_add(unicorn.UC_HOOK_BLOCK, self._block())]
        if not self._wants_accesses:
            return
        both = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        self._hooks.append(engine.hook_add(both, self._access()))
        for address in self._program.behind_conditional_accesses():
            self._hooks.append(engine.hook_add(unicorn.UC_HOOK_CODE, _forget_it, begin=address, end=address))
        for function in self._program.functions:
            if function.operation is not None:
                entry = function.start
                hook = engine.hook_add(
                    unicorn.UC_HOOK_BLOCK, self._begun, function.operation, begin=entry, end=entry
                )
                self._hooks.append(hook)

    def detach(self, engine: "unicorn.Uc", step: int) -> None:
        """Take the hooks away and work out what they saw in this step."""
        for hook in self._hooks:
            engine.hook_del(hook)
        code = {address: bytes(engine.mem_read(address, size)) for address, size in self._unique()}
        self.instructions[step] = _counted(self._program, _numbers(self._blocks), code)
        if self._wants_accesses:
            self.accesses[step] = self._recorded()

    def _block(self) -> object:
        append = self._blocks.append

        def block(engine: "unicorn.Uc", address: int, size: int, data: object) -> None:
            append(address | size << SIZE_AT)

        return block

    def _access(self) -> object:
        import unicorn

        append, write = self._touched.append, unicorn.UC_MEM_WRITE

        def access(
            engine: "unicorn.Uc", kind: int, address: int, size: int, value: int, data: object
        ) -> None:
            append(address | size << SIZE_AT | _WRITE if kind == write else address | size << SIZE_AT)

        return access

    def _begun(self, engine: "unicorn.Uc", address: int, size: int, operation: int) -> None:
        """A loop may begin at an operation's first instruction: only a change is one."""
        if not self._operations or self._operations[-1] != operation:
            self._starts.append(len(self._touched))
            self._operations.append(operation)

    def _unique(self) -> set[tuple[int, int]]:
        keys = np.unique(_numbers(self._blocks))
        return {(int(key) & 0xFFFF_FFFF, int(key) >> SIZE_AT) for key in keys}

    def _recorded(self) -> Accesses:
        numbers = _numbers(self._touched)
        return Accesses(
            numbers & 0xFFFF_FFFF, numbers >> SIZE_AT & 0xFFFF, numbers >> WRITE_AT == 1,
            np.array(self._starts, np.int64), tuple(self._operations),
        )  # fmt: skip


def _forget_it(engine: "unicorn.Uc", address: int, size: int, data: object) -> None:
    """Behind an IT block no condition is left.

    Unicorn 2.1 takes it from a load or store with a hook in such a block into the next block of code, and
    skips an instruction there.
    """
    from unicorn import arm_const

    state = engine.reg_read(arm_const.UC_ARM_REG_XPSR)
    if state & IT_STATE:
        engine.reg_write(arm_const.UC_ARM_REG_XPSR, state & ~IT_STATE)


def _numbers(recorded: "array[int]") -> NDArray[np.int64]:
    return np.frombuffer(recorded, np.int64) if recorded else np.zeros(0, np.int64)


def _counted(program: Program, blocks: NDArray[np.int64], code: dict[int, bytes]) -> Instructions:
    """A function that operations call counts for the one that runs."""
    keys, which = np.unique(blocks, return_inverse=True)
    addresses, sizes = keys & 0xFFFF_FFFF, keys >> SIZE_AT
    lengths = np.array(
        [instructions_in(code[int(a)][: int(s)]) for a, s in zip(addresses, sizes, strict=True)], np.int64
    )
    kinds = program.kinds(addresses)[which]
    known = np.maximum.accumulate(np.where(kinds != ELSEWHERE, np.arange(len(kinds)), 0))
    kinds = np.where(kinds[known] == ELSEWHERE, BETWEEN, kinds[known])
    totals = np.bincount(kinds - BETWEEN, lengths[which])
    ran = {number - 1: int(total) for number, total in enumerate(totals) if number and total}
    return Instructions(ran, int(totals[0]) if len(totals) else 0)
