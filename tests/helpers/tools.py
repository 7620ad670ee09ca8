"""Marks for what this computer may lack, told before a test and not while it runs."""

import shutil

import pytest

HAS_GCC = shutil.which("arm-none-eabi-gcc") is not None
HAS_QEMU = shutil.which("qemu-system-arm") is not None
needs_gcc = pytest.mark.skipif(not HAS_GCC, reason="no arm-none-eabi-gcc")
needs_qemu = pytest.mark.skipif(not (HAS_GCC and HAS_QEMU), reason="no arm-none-eabi-gcc or qemu-system-arm")
