"""The configuration of a run as JSON, of this version or an earlier one.

A setting that is added has a default that means what was so before it could be chosen: where it is missing,
the run has that. One whose meaning changes takes another name or stands in :data:`CHANGED`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from blockwise.experiment.config import Config

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "board": ("device",),
    "network": ("model", "width", "blocks", "head"),
    "images": ("data", "image_size"),
    "quantization": ("method", "weight_bits", "activation_bits"),
    "training": (
        "regimes", "epochs", "batch_size", "optimizer", "lr", "update", "seed", "accelerator", "compile",
    ),
    "output": (),
}  # fmt: skip
"""What the first version wrote, and every one since."""


@dataclass(frozen=True)
class Changed:
    """Values that meant something else as long as another setting was not there."""

    group: str
    name: str
    values: tuple[str, ...]
    before: tuple[str, str]  # group and name of a setting that came with the change
    now: str


CHANGED = (
    Changed(
        "network", "head", ("pred", "sim", "predsim"), ("network", "activation"),
        "the head of that name before the pool; what it was is called with -pooled behind it",
    ),
)  # fmt: skip


class Unreadable(ValueError):
    """What is wrong, in words that name the settings."""


def configuration(groups: Any) -> dict[str, Any]:
    """The groups of a :class:`Config` from JSON. Raises Unreadable for what no version has written.

    Raises InputError for values that are checked when a group is made.
    """
    kinds = get_type_hints(Config)
    if not isinstance(groups, dict) or not all(isinstance(group, dict) for group in groups.values()):
        raise Unreadable("no groups of settings")
    _check(groups, kinds)
    return {name: _group(name, kind, groups.get(name, {})) for name, kind in kinds.items()}


def absent(groups: Mapping[str, Any]) -> frozenset[str]:
    """The settings that a readable file of an earlier version does not have."""
    kinds = get_type_hints(Config)
    return frozenset(
        field.name
        for name, kind in kinds.items()
        for field in fields(kind)
        if field.name not in groups.get(name, {})
    )


def _check(groups: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, Any]) -> None:
    known = {name: {field.name for field in fields(kind)} for name, kind in kinds.items()}
    unknown = [f"{g}.{key}" for g, group in groups.items() for key in group if key not in known.get(g, set())]
    if unknown:
        raise Unreadable(f"{', '.join(unknown)}, which this version does not know")
    missing = [
        f"{g}.{name}" for g, names in REQUIRED.items() for name in names if name not in groups.get(g, {})
    ]
    if missing:
        raise Unreadable(f"no {', '.join(missing)}")
    for told in _changed(groups):
        raise Unreadable(told)


def _changed(groups: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for change in CHANGED:
        value = groups[change.group][change.name]
        group, name = change.before
        if str(value).partition(":")[0] in change.values and name not in groups[group]:
            yield f"{change.group}.{change.name} {value!r} of an earlier version; now it is {change.now}"


def _group(name: str, kind: Any, values: Mapping[str, Any]) -> Any:
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    hints = get_type_hints(kind)
    for key, value in given.items():
        if not _is_of(value, hints[key]):
            raise Unreadable(f"{name}.{key} {values[key]!r}, which is no {_words(hints[key])}")
    return kind(**given)


def _is_of(value: object, hint: Any) -> bool:
    """Whether ``value`` is of the type ``hint``: a class, a union of types or a tuple of one type."""
    if get_origin(hint) is UnionType:
        return any(_is_of(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is_of(item, get_args(hint)[0]) for item in value)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    """A type as a reader of JSON knows it."""
    if get_origin(hint) is UnionType:
        return " or ".join(_words(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {_words(get_args(hint)[0])}"
    return "null" if hint is type(None) else str(hint.__name__)
