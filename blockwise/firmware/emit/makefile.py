"""Makefile: the host build with any compiler."""

from blockwise.firmware.emit.dialect import Dialect
from blockwise.firmware.program import Firmware

HOST = """\
# make host: builds the step and its check for this computer; ./check_host reads check.in, writes check.out.
CC ?= cc
HOST_FLAGS = -std=gnu99 -O2 -Wall -Wextra -fno-strict-aliasing -ffp-contract=off
SOURCES = step.c{weights}

host: check_host main_host

check_host: $(SOURCES) check.c port_host.c blockwise.h
\t$(CC) $(HOST_FLAGS) -o $@ $(SOURCES) check.c port_host.c

main_host: $(SOURCES) main.c port_host.c blockwise.h
\t$(CC) $(HOST_FLAGS) -o $@ $(SOURCES) main.c port_host.c

clean:
\trm -f check_host main_host

.PHONY: host clean
"""


def text(firmware: Firmware, dialect: Dialect) -> str:
    """The file."""
    given = [] if firmware.given is None else ["weights.c"]
    return HOST.format(weights="".join(f" {name}" for name in (*given, *dialect.sources)))
