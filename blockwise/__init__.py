"""Blockwise: can this network be trained on this microcontroller, how, and how well?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blockwise import data as data
    from blockwise import firmware as firmware
    from blockwise import heads as heads
    from blockwise import integer as integer
    from blockwise import models as models
    from blockwise import quant as quant
    from blockwise import report as report
    from blockwise import training as training
    from blockwise.api import InputError, from_module, plan, train, write_firmware

__version__ = "0.1.0"
__all__ = ["InputError", "__version__", "from_module", "plan", "train", "write_firmware"]

_NAMES = ("InputError", "from_module", "plan", "train", "write_firmware")
_SUBMODULES = ("data", "firmware", "heads", "integer", "models", "quant", "report", "training")


def __getattr__(name: str) -> Any:
    """Import a public name on first use: ``import blockwise`` need not wait for PyTorch."""
    if name in _NAMES:
        return getattr(import_module("blockwise.api"), name)
    if name in _SUBMODULES:
        return import_module(f"blockwise.{name}")
    raise AttributeError(f"module 'blockwise' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What there is, imported or not."""
    return sorted({*globals(), *_NAMES, *_SUBMODULES})
