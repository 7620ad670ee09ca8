"""Float regimes in C: operations as calls of the kernels under ``c/floats``."""

from blockwise.firmware.emit.floats.dialect import FloatDialect

__all__ = ["FloatDialect"]
