"""Marks for what this computer may lack, told before a test and not while it runs."""

import shutil
from importlib.util import find_spec

import pytest

HAS_GCC = shutil.which("arm-none-eabi-gcc") is not None
HAS_QEMU = shutil.which("qemu-system-arm") is not None
needs_gcc = pytest.mark.skipif(not HAS_GCC, reason="no arm-none-eabi-gcc")
needs_qemu = pytest.mark.skipif(not (HAS_GCC and HAS_QEMU), reason="no arm-none-eabi-gcc or qemu-system-arm")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HAS_BROWSER = BROWSER is not None and all(map(find_spec, ("playwright", "axe_playwright_python")))
needs_browser = pytest.mark.skipif(not HAS_BROWSER, reason="no chromium, playwright or axe to look with")
