"""Words that settings share."""

from collections.abc import Collection, Iterable

from devices.errors import unknown_name

AUTO = "auto"


def listed(names: Iterable[str]) -> str:
    """For a flag's help."""
    return ", ".join(names)


def check_name(subject: str, name: str, names: Collection[str]) -> None:
    """Raise InputError for a name that is not among ``names``."""
    if name not in names:
        raise unknown_name(subject, name, names)
