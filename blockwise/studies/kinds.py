"""What the values of a recorded line are: what tables and figures can work with."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

Kind = tuple[str, Callable[[Any], bool]]
"""What is wanted, in words, and whether a value is such."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _many(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(one, value))


def _or_none(kind: Kind) -> Kind:
    words, holds = kind
    return f"{words}, or null", lambda value: value is None or holds(value)


TEXT: Kind = "text", lambda value: isinstance(value, str)
COUNT: Kind = "a whole number from 0", _is_count
SIZE: Kind = "a whole number from 1", lambda value: _is_count(value) and value > 0
NUMBER: Kind = "a number from 0", lambda value: _is_number(value) and value >= 0
SHARE = _or_none(("a number from 0 to 1", lambda value: NUMBER[1](value) and value <= 1))
COUNTS: Kind = "whole numbers", _many(_is_count)
SHAPE: Kind = "one or more whole numbers from 1", lambda value: _many(SIZE[1])(value) and len(value) > 0
THREE: Kind = "three whole numbers", lambda value: COUNTS[1](value) and len(value) == 3
TWO = _or_none(("two numbers", lambda value: _many(_is_number)(value) and len(value) == 2))
GROUP: Kind = "named values", lambda value: isinstance(value, dict)
GROUPS: Kind = "a list of named values", _many(GROUP[1])

KINDS: Mapping[str, Kind] = {
    "study": TEXT, "protocol": TEXT, "model": TEXT, "norm": TEXT, "method": TEXT, "activation_method": TEXT,
    "residual": TEXT, "regime": TEXT, "precision": TEXT, "board": TEXT,
    "blocks": _or_none(TEXT), "head": _or_none(TEXT), "optimizer": _or_none(TEXT), "init": _or_none(TEXT),
    "init_name": _or_none(TEXT), "distill": _or_none(TEXT), "contents": _or_none(TEXT),
    "augment": _or_none(TEXT),
    "revision": SIZE, "epochs": SIZE, "batch_size": SIZE, "weight_bits": SIZE, "activation_bits": SIZE,
    "jump_every": SIZE, "weights": SIZE, "stored_bytes": SIZE, "seed": COUNT, "best_epoch": COUNT,
    "classes": COUNT, "start_macs": COUNT, "training_macs": _or_none(COUNT),
    "host_tensor_bytes": _or_none(COUNT), "last_epochs": _or_none(SIZE),
    "width": _or_none(NUMBER), "learning_rate": _or_none(NUMBER), "skip_heads": _or_none(NUMBER),
    "compression": NUMBER, "bits": SIZE, "memory_bits": NUMBER, "budget_bits": NUMBER,
    "peak_kib": NUMBER, "peak_kib_of_one": NUMBER, "seconds": NUMBER,
    "test_error": SHARE, "test_error_one_by_one": SHARE, "validation_error": SHARE,
    "paged_kib": TWO, "start_kib": TWO, "images": THREE, "in_shape": SHAPE, "bit_chain": COUNTS,
    "environment": GROUP, "places": GROUPS, "divergence": _or_none(GROUP),
}  # fmt: skip
"""Of the names that a line of a study may have; what others hold is shown nowhere."""


def wrong(row: Mapping[str, Any], kinds: Mapping[str, Kind] = KINDS) -> str:
    """The first value that is of another kind, and what is wanted; empty where there is none."""
    for name, (words, holds) in kinds.items():
        if name in row and not holds(row[name]):
            return f"{name} {str(row[name])[:40]!r}, which is to be {words}"
    return ""
