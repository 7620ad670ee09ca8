"""The folder of a run: made before any work, its configuration kept beside the checkpoints."""

import json
import os
import re
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from blockwise import models
from blockwise.experiment import board
from blockwise.experiment.config import Config
from blockwise.experiment.finished import CONFIG_FILE as CONFIG_FILE
from blockwise.experiment.initial.weights import KEPT
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.saved import Unreadable, absent, configuration
from blockwise.experiment.settings import OutputSettings
from blockwise.models.files import keeping
from blockwise.system.files import atomic_write, make_folder
from blockwise.system.locks import only_writer
from devices.errors import InputError

CHECKPOINTS = "checkpoints"
UNPORTABLE = re.compile(r"[^A-Za-z0-9._-]")
"""Outside POSIX's portable file name characters: the colon of torchvision:NAME, for one."""
LONGEST_NAME = 100
GOES_ON = ("dry_run", "digest", "seeds")
"""Settings of the output that a run keeps when it is resumed; the rest is asked for each time."""


def default_out(config: Config) -> Path:
    """A new folder under runs/, named by time, board and model; no file system refuses the name."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{stamp}-{Path(config.board.device).stem}-{models.short_name(config.network.model)}"
    base = Path("runs") / UNPORTABLE.sub("-", name)[:LONGEST_NAME]
    numbered = (base.with_name(f"{base.name}-{i}") for i in range(2, 1000))
    return base if not base.exists() else next(path for path in numbered if not path.exists())


def prepare(config: Config, prepared: Prepared | None = None) -> Path:
    """Make the run's folder and write its configuration; returns it.

    The boards of what is ``prepared``, a network that no name builds and trained weights to start from are
    kept there, too.

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
    if prepared is not None:
        _keep(prepared, out)
    atomic_write(out / CONFIG_FILE, json.dumps(_groups(config), indent=1, default=str) + "\n")
    return out


def only_command(out: Path) -> AbstractContextManager[None]:
    """Nobody else trains in the folder meanwhile. Raises InputError while another command does."""
    return only_writer(out / CHECKPOINTS, f"--resume {out}", "wait for it")


def _keep(prepared: Prepared, out: Path) -> None:
    """What stands behind the names of the configuration."""
    board.keep(prepared.boards, out)
    if prepared.own is not None:
        keeping.save(prepared.own, out, anew=prepared.config.output.resume is None)
    if prepared.initial is not None:
        prepared.initial.keep(out / KEPT)


def saved_config(folder: Path, subject: str = "--resume") -> Config:
    """The configuration of the run in ``folder``. Raises InputError about ``subject`` if there is none."""
    path = folder / CONFIG_FILE
    try:
        groups = json.loads(path.read_text("utf-8"))
        made = configuration(groups)
        output = replace(_kept(made.pop("output")), resume=folder)
        return Config(**made, output=output)
    except (FileNotFoundError, NotADirectoryError) as error:
        got = "a folder without a run" if os.path.isdir(folder) else "no such folder"
        got = "a file" if os.path.isfile(folder) else got
        raise InputError(f"{subject} {folder}", got=got, wanted="the --out of an earlier run",
                         do="check the path") from error  # fmt: skip
    except (OSError, ValueError, RecursionError) as error:
        told = f": {error}" if isinstance(error, Unreadable) else ""
        raise InputError(
            str(path), got=f"no valid configuration{told}", wanted="the file as the run wrote it",
            do="use the version that wrote it, or start over with --out",
        ) from error  # fmt: skip


def changed(config: Config, saved: Config) -> list[str]:
    """Names of the settings in which a configuration is another than that of a run that is resumed."""
    was = saved.learning()
    found = [name for name, value in config.learning().items() if value != was[name]]
    return found + [name for name in GOES_ON if getattr(config.output, name) != getattr(saved.output, name)]


def as_flag(setting: str) -> str:
    """Of the command line."""
    return "--" + setting.replace("_", "-")


def absent_settings(config: Config) -> frozenset[str]:
    """Those that the run which is resumed does not have in its file: it was begun by an earlier version."""
    path = (config.output.resume or Path()) / CONFIG_FILE
    if config.output.resume is None or not path.exists():
        return frozenset()
    return absent(json.loads(path.read_text("utf-8")))


def _groups(config: Config) -> dict[str, dict[str, object]]:
    """What stands in the file; of a run of an earlier version only what did so before."""
    without = absent_settings(config)
    groups = asdict(replace(config, output=_kept(config.output)))
    kept = {name: {k: v for k, v in group.items() if k not in without} for name, group in groups.items()}
    return {name: group for name, group in kept.items() if group}


def _kept(output: OutputSettings) -> OutputSettings:
    return OutputSettings(**{name: getattr(output, name) for name in GOES_ON})
