"""Live bytes from loads and stores: by hand, by a byte-for-byte reference, and those of the stand-in."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import StandIn, sent

from blockwise.firmware.arenas import MemoryMap, RamArray, Span
from blockwise.firmware.check.bytes_of import PlannedBytes
from blockwise.firmware.check.trace import traced
from blockwise.firmware.emulators import UNICORN, Watch
from blockwise.firmware.emulators.run import Accesses
from blockwise.firmware.toolchains import ZIG
from devices.program.categories import PACKED_WEIGHTS, WORKING_TENSORS
from devices.program.schedule import Program

BASE = 0x2000_0000


def planned():
    """first writes a (4 bytes at 0), second makes b (2 at 8) of it, third changes w (4 at 16)."""
    program = Program()
    program.tensor("w", (4,), 8, PACKED_WEIGHTS, "x", resident=True)
    program.tensor("a", (4,), 8, WORKING_TENSORS, "x")
    program.tensor("b", (2,), 8, WORKING_TENSORS, "x")
    program.emit("first", "forward", "x", writes=["a"])
    program.emit("second", "forward", "x", reads=["a"], writes=["b"])
    program.emit("third", "update", "x", reads=["b", "w"], writes=["w"])
    run = Span("RAM", BASE, 1024)
    array, reserve = RamArray("blockwise_ram0", BASE, 20, run), Span("RESERVE", BASE + 512, 512)
    memory = MemoryMap(Span("FLASH", 0, 1024), (run,), reserve, (array,))
    return PlannedBytes(program.finish(), memory, {"a": BASE, "b": BASE + 8, "w": BASE + 16})


def accesses(*operations):
    """Of each operation the accesses as (offset, bytes, "r" or "w")."""
    flat = [access for operation in operations for access in operation]
    starts = np.cumsum([0, *(len(operation) for operation in operations)])[:-1]
    address, size = (np.array([access[i] for access in flat], np.int64) for i in (0, 1))
    write = np.array([how == "w" for _, _, how in flat], np.bool_)
    return Accesses(BASE + address, size, write, starts, tuple(range(len(operations))))


AS_PLANNED = (
    [(0, 4, "w"), (1020, 4, "w")],  # the stack is none of the plan's
    [(0, 4, "r"), (8, 1, "w"), (9, 1, "w")],
    [(8, 2, "r"), (16, 4, "r"), (16, 4, "w")],
)


def test_what_is_done_as_planned_is_equal():
    found = traced(accesses(*AS_PLANNED), planned())
    assert [(m.name, m.traced, m.planned) for m in found.live] == [
        ("first", 8, 8), ("second", 10, 10), ("third", 6, 6)
    ]  # fmt: skip
    assert found.equal and found.peak_bytes == 10
    assert not any(moment.idle for moment in found.live)


def test_a_tensor_that_is_kept_though_nothing_of_it_is_needed_is_told():
    second = [(8, 2, "w")]
    found = traced(accesses(AS_PLANNED[0], second, AS_PLANNED[2]), planned())
    assert [moment.traced for moment in found.live] == [8, 6, 6]
    assert found.live[1].wrong == ("a is kept, but nothing of it is needed",) and not found.equal


def test_a_byte_that_nobody_reads_again_is_not_alive():
    """The last byte of a is written, but only three are read: it is dead at the second operation."""
    second = [(0, 2, "r"), (2, 1, "r"), (8, 2, "w")]
    found = traced(accesses(AS_PLANNED[0], second, AS_PLANNED[2]), planned())
    assert [moment.traced for moment in found.live] == [8, 9, 6]
    assert found.live[1].idle == (("a", 1),) and found.equal


def test_a_byte_that_is_read_late_is_alive_until_then():
    third = [(0, 1, "r"), *AS_PLANNED[2]]
    found = traced(accesses(*AS_PLANNED[:2], third), planned())
    assert [moment.traced for moment in found.live] == [8, 10, 7]
    (told,) = found.live[2].wrong
    assert told == f"1 more bytes are needed, from the byte at {BASE:#010x}, of no tensor then"
    (stranger,) = found.strangers
    assert (stranger.name, stranger.what) == ("third", "reads")
    assert stranger.byte == f"the byte at {BASE:#010x}, of no tensor then"


def test_a_value_that_is_written_again_was_not_needed_in_between():
    second = [(0, 4, "r"), (8, 2, "w")]
    third = [(0, 1, "w"), (0, 1, "r"), *AS_PLANNED[2]]
    found = traced(accesses(AS_PLANNED[0], second, third), planned())
    assert [moment.traced for moment in found.live] == [8, 10, 7]


@pytest.mark.parametrize(
    ("more", "byte"),
    [
        ((10, 1, "w"), f"1 byte(s) behind b ({BASE + 10:#010x})"),
        ((17, 1, "w"), f"byte 1 of w ({BASE + 17:#010x})"),
        ((3, 1, "w"), f"byte 3 of a ({BASE + 3:#010x})"),  # which it only reads
        ((20, 1, "w"), f"1 byte(s) behind w ({BASE + 20:#010x})"),  # behind the array
    ],
)
def test_what_an_operation_does_not_name_is_told_with_the_tensor(more, byte):
    found = traced(accesses(AS_PLANNED[0], [*AS_PLANNED[1], more], AS_PLANNED[2]), planned())
    (stranger,) = found.strangers
    assert (stranger.operation, stranger.name, stranger.what, stranger.byte) == (1, "second", "writes", byte)


def test_an_operation_that_did_not_run_and_a_step_without_any_are_told():
    without = dataclasses.replace(accesses(AS_PLANNED[0], AS_PLANNED[2]), operations=(0, 2))
    assert traced(without, planned()).skipped == (1,) and not traced(without, planned()).equal
    empty = traced(accesses(), planned())
    assert empty.live == () and not empty.equal


def test_a_step_that_is_a_part_of_the_program_keeps_what_lives_around_it():
    """Of the second operation alone: a comes from before, and lives behind it if the plan says so."""
    program = Program()
    program.tensor("a", (4,), 8, WORKING_TENSORS, "x")
    for name in ("unpack", "update", "pack"):
        kinds = {"reads": ["a"]} if name == "pack" else {"writes": ["a"]}
        program.emit(name, "update", "x", **kinds)
    plan = dataclasses.replace(planned(), schedule=program.finish(), addresses={"a": BASE})
    only = dataclasses.replace(accesses([(0, 1, "r"), (0, 1, "w")]), operations=(1,))
    assert [(m.traced, m.planned) for m in traced(only, plan).live] == [(4, 4)]


ACCESS = st.tuples(st.integers(0, 19), st.sampled_from([1, 2, 4]), st.sampled_from("rw"))


@given(st.lists(st.lists(ACCESS, max_size=12), min_size=3, max_size=3))
def test_live_bytes_are_those_of_a_walk_byte_by_byte(operations):
    plan = planned()
    found = traced(accesses(*operations), plan)
    events = [
        (index, at + k, how)
        for index, operation in enumerate(operations)
        for at, size, how in operation
        for k in range(size)
        if at + k < 20
    ]
    alive = [set(range(16, 20)) for _ in operations]
    for byte in range(20):
        mine = [(index, how) for index, at, how in events if at == byte]
        since = 0  # what is read before it is written was there from the start
        for index, how in mine:
            if how == "r":
                for between in range(since, index + 1):
                    alive[between].add(byte)
            alive[index].add(byte)
            since = index
    assert [moment.traced for moment in found.live] == [len(bytes_alive) for bytes_alive in alive]


def test_the_stand_in_keeps_what_its_plan_says_at_every_operation(tmp_path):
    tiny = StandIn()
    project = tiny.write(tmp_path)
    (project / "check.in").write_bytes(sent(tiny.steps(3)))
    elf = ZIG.build(project, tiny.device, "check", tmp_path / "check.elf").elf
    run = UNICORN.run(elf, tiny.device, tiny.memory, project, Watch(frozenset({1}), accesses=True))
    addresses = {name: place.address for name, place in tiny.placement.places.items()}
    found = traced(run.accesses[1], PlannedBytes(tiny.schedule, tiny.memory, addresses))
    assert found.equal, found
    assert [moment.traced for moment in found.live] == [36, 100, 100, 36]
    assert not any(moment.idle for moment in found.live)
