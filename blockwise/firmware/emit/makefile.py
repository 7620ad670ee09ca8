"""Makefile: for the board with two compilers, and for the host with any."""

from collections.abc import Iterable

from blockwise.firmware.emit.dialect import Dialect
from blockwise.firmware.program import Firmware
from blockwise.firmware.toolchains import flags, gcc, zig
from blockwise.firmware.toolchains.toolchain import BOARD_SCRIPT, sources_among
from devices.boards.profile import Device

BOARD = """\
# make: main.elf and check.elf for the board; with ZIG=1 by zig's compiler instead of GCC's.
ifdef ZIG
BOARD_CC ?= python3 -m ziglang cc
BOARD_FLAGS = {zig}
else
BOARD_CC ?= arm-none-eabi-gcc
BOARD_FLAGS = {gcc}
BOARD_LIBRARIES = -lgcc
endif
BOARD_FLAGS += -Wl,-T,{script}

board: main.elf check.elf

main.elf: {main} blockwise.h {script}
\t$(BOARD_CC) $(BOARD_FLAGS) $(filter %.c,$^) $(BOARD_LIBRARIES) -o $@

check.elf: {check} blockwise.h {script}
\t$(BOARD_CC) $(BOARD_FLAGS) $(filter %.c,$^) $(BOARD_LIBRARIES) -o $@
"""

HOST = """\
# make host: builds the step and its check for this computer; ./check_host reads check.in, writes check.out.
CC ?= cc
HOST_FLAGS = -std=gnu99 -O2 -Wall -Wextra -fno-strict-aliasing {contraction}
SOURCES = step.c{weights}

host: check_host main_host

check_host: $(SOURCES) check.c port_host.c blockwise.h
\t$(CC) $(HOST_FLAGS) -o $@ $(SOURCES) check.c port_host.c

main_host: $(SOURCES) main.c port_host.c blockwise.h
\t$(CC) $(HOST_FLAGS) -o $@ $(SOURCES) main.c port_host.c

clean:
\trm -f check_host main_host main.elf check.elf

.PHONY: board host clean
"""


def text(firmware: Firmware, dialect: Dialect, files: Iterable[str]) -> str:
    """The file, for the project's other ``files``."""
    given = [] if firmware.given is None else ["weights.c"]
    saving = ["persist.c", "port_flash_host.c"] if firmware.save_every else []
    more = "".join(f" {name}" for name in (*given, *dialect.sources, *saving))
    host = HOST.format(weights=more, contraction=flags.NO_CONTRACTION)
    if firmware.device is None:
        return host
    return "\n".join((_board(firmware.device, list(files)), host))


def _board(device: Device, files: list[str]) -> str:
    return BOARD.format(
        zig=" ".join(zig.flags_of(device)), gcc=" ".join((*gcc.flags_of(device), *gcc.LINK)),
        script=BOARD_SCRIPT, main=" ".join(sources_among(files, "main")),
        check=" ".join(sources_among(files, "check")),
    )  # fmt: skip
