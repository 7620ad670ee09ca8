"""A configuration from keyword arguments: every flag of the command line by its name."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from blockwise.experiment.config import Config
from devices.errors import InputError, unknown_name


@dataclass(frozen=True)
class _Setting:
    group: str  # a field of Config
    hint: Any


ASKED_OF_THE_COMMAND = (
    "json", "quiet", "full", "arena_csv", "log", "seeds", "resume", "preset", "list_devices", "version",
)  # fmt: skip
"""Flags that say what to print and write, how many runs there are, or where the others come from."""
SETTINGS: dict[str, _Setting] = {
    name: _Setting(group, hint)
    for group, kind in get_type_hints(Config).items()
    for name, hint in get_type_hints(kind).items()
    if name not in ASKED_OF_THE_COMMAND
}


def config_of(settings: Mapping[str, Any]) -> Config:
    """The default configuration with ``settings``, flat.

    Raises InputError for a name that is no setting, and a value of another type than the setting's.
    """
    given: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        if name not in SETTINGS:
            raise unknown_name("setting", name, SETTINGS)
        setting = SETTINGS[name]
        given.setdefault(setting.group, {})[name] = _value(name, value, setting.hint)
    config = Config()
    groups = {group: replace(getattr(config, group), **values) for group, values in given.items()}
    return replace(config, **groups)


def _value(name: str, value: Any, hint: Any) -> Any:
    """``value`` as the setting holds it: numbers where floats are meant, sequences as tuples."""
    kinds = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    for kind in kinds:
        made = _as(value, kind)
        if made is not None or (kind is NoneType and value is None):
            return made
    wanted = " or ".join(str(getattr(kind, "__name__", kind)) for kind in kinds)
    raise InputError(name, got=repr(value), wanted=wanted, do="see run.py --help for what it means")


def _as(value: Any, kind: Any) -> Any:
    """``value`` as ``kind``, None if it is none."""
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        items = [value] if isinstance(value, str) else value
        made = [_as(item, inner) for item in items] if isinstance(items, list | tuple) else [None]
        return None if None in made else tuple(made)
    if _is_scalar(value):
        value = value.item()
    if kind is str and (isinstance(value, Path) or type(value) in (int, float)):  # a profile; so many blocks
        return str(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and type(value) is int:
        return float(value)
    exact = kind in (bool, int)  # a bool is an int
    return value if (type(value) is kind if exact else isinstance(value, kind)) else None


def _is_scalar(value: Any) -> bool:
    """Whether it is one number of NumPy or PyTorch."""
    return getattr(value, "shape", None) == () and hasattr(value, "item")
