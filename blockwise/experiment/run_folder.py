"""The folder of a run: made before any work, its configuration kept beside the checkpoints."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from blockwise.experiment.config import Config
from blockwise.experiment.initial.weights import KEPT, Weights
from blockwise.experiment.settings import OutputSettings
from blockwise.models import Chain
from blockwise.models.files import keeping
from blockwise.system.files import atomic_write, make_folder
from devices.errors import InputError

Group = TypeVar("Group")
CONFIG_FILE = "config.json"
CHECKPOINTS = "checkpoints"
UNPORTABLE = re.compile(r"[^A-Za-z0-9._-]")
"""Outside POSIX's portable file name characters: the colon of torchvision:NAME, for one."""
LONGEST_NAME = 100


def default_out(config: Config) -> Path:
    """A new folder under runs/, named by time, board and model; no file system refuses the name."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{stamp}-{Path(config.board.device).stem}-{Path(config.network.model).name}"
    base = Path("runs") / UNPORTABLE.sub("-", name)[:LONGEST_NAME]
    numbered = (base.with_name(f"{base.name}-{i}") for i in range(2, 1000))
    return base if not base.exists() else next(path for path in numbered if not path.exists())


def prepare(config: Config, own: Chain | None = None, initial: Weights | None = None) -> Path:
    """Make the run's folder and write its configuration; returns it.

    A network that no name builds and trained weights to start from are kept there, too.

    Raises InputError if it cannot be written, or holds another run already; WriteError on a full disk.
    """
    out = config.output.resume or config.output.out or default_out(config)
    if config.output.resume is None and os.path.exists(out / CONFIG_FILE):
        raise InputError(
            f"--out {out}", got="a folder that holds a run", wanted="a new or empty one",
            do=f"use another, or --resume {out} to go on with it",
        )  # fmt: skip
    flag = "--out" if config.output.resume is None else "--resume"
    for folder in (out, out / CHECKPOINTS):
        make_folder(folder, flag)
    if own is not None:
        keeping.save(own, out)
    if initial is not None:
        initial.keep(out / KEPT)
    atomic_write(out / CONFIG_FILE, json.dumps(_groups(config), indent=1, default=str) + "\n")
    return out


def saved_config(folder: Path, subject: str = "--resume") -> Config:
    """The configuration of the run in ``folder``. Raises InputError about ``subject`` if there is none."""
    path = folder / CONFIG_FILE
    try:
        groups = json.loads(path.read_text("utf-8"))
        made = {name: group(kind, groups[name]) for name, kind in get_type_hints(Config).items()}
        output = replace(_kept(made.pop("output")), resume=folder)
        return Config(**made, output=output)
    except FileNotFoundError as error:
        got = "a folder without a run" if os.path.isdir(folder) else "no such folder"
        raise InputError(f"{subject} {folder}", got=got, wanted="the --out of an earlier run",
                         do="check the path") from error  # fmt: skip
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path}", got="no valid configuration", wanted="the file as the run wrote it",
                         do="start over with --out") from error  # fmt: skip


def group(kind: Callable[..., Group], values: dict[str, Any]) -> Group:
    """A group of settings with ``values`` from JSON. Raises TypeError where a type is not the field's."""
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    for name, hint in get_type_hints(kind).items():
        if not _is_of(given[name], hint):
            raise TypeError(f"{name}: {given[name]!r}")
    return kind(**given)


def _is_of(value: object, hint: Any) -> bool:
    """Whether ``value`` is of the type ``hint``: a class, a union of types or a tuple of one type."""
    if get_origin(hint) is UnionType:
        return any(_is_of(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is_of(item, get_args(hint)[0]) for item in value)
    return isinstance(value, hint)


def _groups(config: Config) -> dict[str, object]:
    return asdict(replace(config, output=_kept(config.output)))


def _kept(output: OutputSettings) -> OutputSettings:
    """What goes on when a run is resumed; the rest is asked for each time."""
    return OutputSettings(dry_run=output.dry_run, digest=output.digest, seeds=output.seeds)
