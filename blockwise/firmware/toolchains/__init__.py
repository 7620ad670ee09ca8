"""From an emitted project to a program: one compiler per file, behind one small protocol."""

from blockwise.firmware.toolchains.gcc import GCC
from blockwise.firmware.toolchains.toolchain import Built, Target, Toolchain
from blockwise.firmware.toolchains.zig import ZIG

TOOLCHAINS: dict[str, Toolchain] = {toolchain.name: toolchain for toolchain in (ZIG, GCC)}

__all__ = ["GCC", "TOOLCHAINS", "ZIG", "Built", "Target", "Toolchain"]
