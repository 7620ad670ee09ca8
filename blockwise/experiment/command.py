"""A configuration as the command that asks for it."""

import dataclasses
from collections.abc import Iterator

from blockwise.experiment.config import Config
from blockwise.experiment.settings import BoardSettings
from blockwise.nets.usual import OWN


def command(config: Config) -> tuple[str, ...]:
    """The words behind ``run.py``: flags that differ from their defaults; nothing where no command would do.

    A module that was given in Python has no name for a command line.
    """
    if config.network.model.startswith(OWN):
        return ()
    usual = Config()
    groups = [field.name for field in dataclasses.fields(config) if field.name not in ("output", "board")]
    words = [word for name in groups for word in _flags(getattr(config, name), getattr(usual, name))]
    words = [*_boards(config.board, usual.board), *words]
    return (*words, "--dry-run") if config.output.dry_run else tuple(words)


def _boards(board: BoardSettings, usual: BoardSettings) -> Iterator[str]:
    """All boards stand behind one flag."""
    others = board.other_devices
    if others:
        yield from ("--device", board.device, *others)
        board = dataclasses.replace(board, device=usual.device, other_devices=usual.other_devices)
    yield from _flags(board, usual)


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
