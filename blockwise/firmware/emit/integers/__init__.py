"""Integer regimes in C."""

from blockwise.firmware.emit.integers.dialect import IntegerDialect

__all__ = ["IntegerDialect"]
