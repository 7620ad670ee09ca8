"""Objects of dataclasses as plain ones, and the way back."""

import math
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

ATOMS = frozenset({str, int, float, bool, bytes, type(None)})

LEAVES: dict[Any, tuple[type, ...]] = {int: (int,), float: (float, int), str: (str,), bool: (bool,)}
"""What JSON has for each."""


def plain(value: Any) -> Any:
    """As :func:`dataclasses.asdict`, of any object; what never changes is not copied, which takes longest."""
    kind: type = type(value)
    if kind in ATOMS:
        return value
    names = _names(kind)
    if names:
        return {name: plain(getattr(value, name)) for name in names}
    if kind is dict:
        return {key: plain(item) for key, item in value.items()}
    return kind(map(plain, value)) if kind in (list, tuple) else value


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass; none of another class."""
    return tuple(field.name for field in fields(kind)) if hasattr(kind, "__dataclass_fields__") else ()


def made(hint: Any, value: Any) -> Any:
    """``value`` from JSON as the type ``hint``: a dataclass, a tuple, a dict, one of several, or as it is.

    What a dataclass does not know is left out; what it has a default for may be missing. Raises TypeError,
    ValueError or AttributeError for what is no such value.
    """
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return None if value is None else made(kinds[0], value)
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        names = [field.name for field in fields(hint) if field.init and field.name in value]
        return hint(**{name: made(hints[name], value[name]) for name in names})
    if get_origin(hint) is tuple:
        return tuple(made(get_args(hint)[0], item) for item in value)
    if get_origin(hint) is dict:
        keys, items = get_args(hint)
        return {keys(key): made(items, item) for key, item in value.items()}
    if value is None and hint is float:
        return math.nan  # JSON has no spelling for it
    if hint in LEAVES and type(value) not in LEAVES[hint]:
        raise TypeError(f"{value!r} where {hint.__name__} is wanted")
    return tuple(value) if isinstance(value, list) else value  # of a configuration
