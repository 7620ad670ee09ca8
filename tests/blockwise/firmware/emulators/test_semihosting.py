"""The host's side of semihosting, called by hand."""

import struct

import pytest

from blockwise.firmware.emulators.semihosting import FAILED, Host


@pytest.fixture
def memory():
    return bytearray(256)


@pytest.fixture
def host(memory, tmp_path):
    def write(address, content):
        memory[address : address + len(content)] = content

    with Host(tmp_path, lambda address, size: bytes(memory[address : address + size]), write) as made:
        yield made


def call(host, memory, operation, *words):
    struct.pack_into(f"<{len(words)}I", memory, 0, *words)
    return host.call(operation, 0)


def opened(host, memory, name, mode):
    memory[64 : 64 + len(name)] = name.encode()
    return call(host, memory, 0x01, 64, mode, len(name))


def test_files_are_written_and_read_in_the_folder_alone(host, memory, tmp_path):
    handle = opened(host, memory, "../x.out", 5)
    memory[100:105] = b"hello"
    assert call(host, memory, 0x05, handle, 100, 5) == 0
    assert call(host, memory, 0x02, handle) == 0
    assert (tmp_path / "x.out").read_bytes() == b"hello"
    again = opened(host, memory, "x.out", 1)
    assert call(host, memory, 0x0C, again) == 5
    assert call(host, memory, 0x06, again, 120, 4) == 0
    assert call(host, memory, 0x06, again, 124, 4) == 3  # three bytes were not there
    assert memory[120:125] == b"hello"


def test_what_cannot_be_is_refused(host, memory):
    assert opened(host, memory, "none.in", 1) == FAILED
    assert call(host, memory, 0x05, 9, 100, 5) == 5
    assert call(host, memory, 0x02, 9) == FAILED
    assert call(host, memory, 0x99) == FAILED


def test_the_end_has_the_code_of_the_program(host, memory):
    call(host, memory, 0x20, 0x20026, 7)
    assert host.exit_code == 7
