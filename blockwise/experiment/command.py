"""A configuration as the command that asks for it."""

import dataclasses
from collections.abc import Iterator

from blockwise.experiment.config import Config
from blockwise.nets.usual import OWN


def command(config: Config) -> tuple[str, ...]:
    """The words behind ``run.py``: flags that differ from their defaults; nothing where no command would do.

    A module that was given in Python has no name for a command line.
    """
    if config.network.model.startswith(OWN):
        return ()
    usual = Config()
    groups = [field.name for field in dataclasses.fields(config) if field.name != "output"]
    words = [word for name in groups for word in _flags(getattr(config, name), getattr(usual, name))]
    return (*words, "--dry-run") if config.output.dry_run else tuple(words)


def _flags(group: object, usual: object) -> Iterator[str]:
    for field in dataclasses.fields(group):  # type: ignore[arg-type]
        value, flag = getattr(group, field.name), field.name.replace("_", "-")
        if value is None or value == getattr(usual, field.name):
            continue
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
            continue
        yield f"--{flag}"
        yield from map(str, value if isinstance(value, tuple) else (value,))
