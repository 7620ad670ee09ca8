"""Objects of dataclasses as plain ones."""

from dataclasses import fields
from functools import cache
from typing import Any

ATOMS = frozenset({str, int, float, bool, bytes, type(None)})


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
