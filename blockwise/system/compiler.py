"""PyTorch's compiler, which takes as long to load as PyTorch itself.

Optimizers and modes of dispatch load it to tell it to leave them alone. A program that compiles nothing can
do without it.
"""

import sys
from collections.abc import Callable
from inspect import unwrap
from typing import Any

ASKED_FOR = "__dynamo_disable"
"""Where PyTorch looks for the form of a function that the compiler leaves alone, before it loads it."""
SPARED = list[Callable[..., Any]]()


def spare_compiler(*wrapped: Callable[..., Any]) -> None:
    """Let these functions be their own form, so that it is not loaded for them; if it is not yet."""
    if "torch._dynamo" in sys.modules:
        return
    for function in map(unwrap, wrapped):
        if not hasattr(function, ASKED_FOR):
            setattr(function, ASKED_FOR, function)
            SPARED.append(function)


def use_compiler() -> None:
    """Before something is compiled: the compiler will be told to leave those functions alone after all."""
    while SPARED:
        delattr(SPARED.pop(), ASKED_FOR)
