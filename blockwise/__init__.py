"""Blockwise: can this network be trained on this microcontroller, how, and how well?"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_SUBMODULES = ("data", "heads", "integer", "models", "quant", "report", "training")


def __getattr__(name: str) -> ModuleType:
    """Import a public submodule on first use: ``import blockwise`` need not wait for PyTorch."""
    if name in _SUBMODULES:
        return import_module(f"blockwise.{name}")
    raise AttributeError(f"module 'blockwise' has no attribute {name!r}")
