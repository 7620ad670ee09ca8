"""Unicorn: the stand-in trains to the same bits, and what leaves its memory is stopped where it is."""

import importlib.util

import pytest
from stand_in import StandIn, sent

from blockwise.firmware.emulators import UNICORN, Watch
from blockwise.firmware.emulators.program import program_of
from blockwise.firmware.toolchains import ZIG
from devices.boards.profile import load
from devices.errors import InputError

SLOW = ("stm32", "rp2040", "stm32f103", "nrf5340")
BOARDS = ("stm32f405", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW))
STATE = "uint32_t state = *RANDOM;"


def ran(tmp_path, tiny, watch=Watch(), count=20, **edits):  # noqa: B008
    """The run of the stand-in, changed; its output lies beside the program."""
    project = tiny.write(tmp_path, **edits)
    (project / "check.in").write_bytes(sent(tiny.steps(count)))
    elf = ZIG.build(project, tiny.device, "check", tmp_path / "check.elf").elf
    return UNICORN.run(elf, tiny.device, tiny.memory, project, watch), program_of(elf)


@pytest.mark.parametrize("board", BOARDS)
def test_every_core_trains_to_the_bits_of_the_simulation(board, tmp_path):
    tiny = StandIn(load(board))
    run, _ = ran(tmp_path, tiny)
    assert (run.exit_code, run.fault, run.instructions) == (0, None, {})
    assert (tmp_path / "check.out").read_bytes() == b"".join(state for _, state in tiny.steps(20))
    assert run.stack_bytes == int.from_bytes((tmp_path / "stack.out").read_bytes(), "little") > 0


OUTSIDE = "outside of the board's memory"
CULPRIT = """
    __asm__ volatile("movs r0, #1\\n ldr r1, =%s\\n nop\\n .global culprit\\n culprit: %s\\n"
                     "b 1f\\n .ltorg\\n 1:" ::: "r0", "r1", "memory");
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "instruction", "what", "region"),
    [
        (0x2005_0000, "strb r0, [r1]", "write", OUTSIDE),  # one byte behind the RAM
        (0x2005_0000, "ldrb r0, [r1]", "read", OUTSIDE),
        (0x1FFF_FFFC, "str r0, [r1]", "write", OUTSIDE),
        (0x0800_0000, "strb r0, [r1]", "write", "in flash"),
        (0x0000_0000, "ldr r0, [r1]", "read", OUTSIDE),  # the ITCM holds no tensors
        (0x2001_0000, "ldr r0, [r1]", "read", "in RAM of DTCM+SRAM1+SRAM2 that the plan leaves free"),
    ],
)
def test_an_access_outside_is_told_with_its_address_instruction_and_operation(
    address, instruction, what, region, tmp_path
):
    edit = (STATE, f"{STATE} {CULPRIT % (hex(address), instruction)}")
    run, program = ran(tmp_path, StandIn(), step=edit)
    assert run.exit_code is None and run.stack_bytes is None
    assert (run.fault.what, run.fault.address, run.fault.operation) == (what, address, 2)
    assert run.fault.pc == program.symbols["culprit"] & ~1
    assert str(run.fault) == (
        f"{what} at {address:#010x}, {region}, by the instruction at {run.fault.pc:#010x} in operation 2"
    )


def test_the_last_byte_of_the_ram_may_be_touched(tmp_path):
    edit = (STATE, f"{STATE} {CULPRIT % (hex(0x2004_FFFF), 'ldrb r0, [r1]')}")
    assert ran(tmp_path, StandIn(), step=edit)[0].exit_code == 0


def test_an_instruction_that_the_core_does_not_have_is_a_fault(tmp_path):
    run, program = ran(tmp_path, StandIn(), step=(STATE, f"{STATE} {CULPRIT % ('0', 'udf #0')}"))
    assert run.fault.pc == program.symbols["culprit"] & ~1
    assert run.fault.operation == 2


NAKED = """__attribute__((naked)) NOINLINE static void operation_3(void) {
    __asm__ volatile("push {lr}\\n movs r0, #5\\n bl count_down\\n pop {pc}");
}
__attribute__((naked, used)) void count_down(void) {
    __asm__ volatile("1: subs r0, #1\\n bne 1b\\n .short 0xf3af, 0x8000\\n bx lr");
}
static NOINLINE void operation_4(void) {"""


def test_instructions_are_those_of_one_step_by_operation_with_what_it_calls(tmp_path):
    """By hand: push, movs, bl and pop, a loop of 2 run 5 times, a nop of two halfwords, and bx."""
    run, _ = ran(
        tmp_path, StandIn(), Watch(frozenset({3})), step=("static NOINLINE void operation_3(void) {", NAKED)
    )
    ((step, counted),) = run.instructions.items()
    assert step == 3 and counted.by_operation[3] == 4 + 2 * 5 + 2
    assert sorted(counted.by_operation) == [0, 1, 2, 3]
    assert counted.total == sum(counted.by_operation.values()) + counted.between
    assert run.accesses == {}


def test_watching_a_step_changes_nothing(tmp_path):
    tiny = StandIn()
    run, _ = ran(tmp_path, tiny, Watch(frozenset({0, 7}), accesses=True))
    assert (tmp_path / "check.out").read_bytes() == b"".join(state for _, state in tiny.steps(20))
    assert {step: found.operations for step, found in run.accesses.items()} == dict.fromkeys(
        (0, 7), (0, 1, 2, 3)
    )


CONDITIONAL = """uint32_t there, made;
    __asm__ volatile("movs r0, #0\\n cmp r0, #1\\n ite cc\\n strcc r0, [%1]\\n strcs r0, [%1]\\n b 1f\\n"
                     "1: movw %0, #0x5678\\n movt %0, #0x1234" : "=&r"(made) : "r"(&there) : "r0", "memory");
    uint32_t state = *RANDOM + made - 0x12345678u;"""


def test_a_store_under_a_condition_is_watched_without_harm_to_what_comes_next(tmp_path):
    """Unicorn keeps the condition for the next block of code, and would leave its second instruction out."""
    tiny = StandIn()
    watch = Watch(frozenset(range(20)), accesses=True)
    run, _ = ran(tmp_path, tiny, watch, step=("uint32_t state = *RANDOM;", CONDITIONAL))
    assert (run.exit_code, run.fault) == (0, None)
    assert (tmp_path / "check.out").read_bytes() == b"".join(state for _, state in tiny.steps(20))


def test_loads_and_stores_are_recorded_in_order_with_their_operation(tmp_path):
    tiny = StandIn()
    run, program = ran(tmp_path, tiny, Watch(frozenset({0}), accesses=True))
    accesses = run.accesses[0]
    random = program.symbols["blockwise_ram0"] + tiny.placement.places["random"].offset
    drawn = accesses.address == random
    assert accesses.write[drawn].tolist() == [False, True]  # the state is read, then written
    assert accesses.size[drawn].tolist() == [4, 4]
    from_two = slice(accesses.starts[2], accesses.starts[3])
    assert drawn[from_two].sum() == 2


def test_what_unicorn_cannot_run_is_told_with_what_can(monkeypatch):
    n6 = StandIn(load("stm32n657"))
    with pytest.raises(InputError, match=r"a Cortex-M55.*--emulator qemu"):
        UNICORN.memory(n6.device, n6.memory)
    for missing in ("unicorn", "elftools"):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, m=missing: None if name == m else True)
        with pytest.raises(InputError, match=f"no (py)?{missing}.*uv sync --extra firmware"):
            UNICORN.memory(StandIn().device, StandIn().memory)
