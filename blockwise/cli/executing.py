"""Flags of where trainings run, and the executor that they ask for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from blockwise.executors.processes import Processes
from blockwise.executors.ray import Ray
from blockwise.executors.ray_cluster import check_installed
from blockwise.executors.ray_flights import Share
from blockwise.executors.remote import Remote
from blockwise.executors.serial import Serial
from blockwise.executors.storage import Folder, Storage
from blockwise.executors.task import Executor
from blockwise.system.files import make_folder
from blockwise.system.processes import cores
from blockwise.system.sizes import check_size
from devices.errors import InputError, unknown_name

MOST_WORKERS = 10**5


@dataclass(frozen=True)
class Executing:
    """Where trainings run."""

    executor: Annotated[
        str | None,
        arg(
            metavar="NAME",
            help="Where trainings run: serial (one after the other, here), processes (several of this "
            "computer) or ray (a Ray cluster).",
            help_behavior_hint="(default: serial; with --workers processes, with --ray-address ray)",
        ),
    ] = None
    workers: Annotated[
        int | None,
        arg(metavar="N", help="Trainings at a time.", help_behavior_hint="(default: the cores, if several)"),
    ] = None
    threads: Annotated[
        int | None,
        arg(
            metavar="N",
            help="Threads of each training, on which its last bits depend.",
            help_behavior_hint="(default: the cores, shared out among the workers; at a --ray-address 1)",
        ),
    ] = None
    storage: Annotated[
        str | None,
        arg(
            metavar="DIR|URL",
            help="Where trainings keep what they go on from if their worker dies: a folder that all workers "
            "share, or a URL that fsspec reaches.",
            help_behavior_hint="(default: beside what is recorded)",
        ),
    ] = None
    ray_address: Annotated[
        str | None,
        arg(
            metavar="HOST:PORT",
            help="Head of a Ray cluster, or auto: the one this computer belongs to.",
            help_behavior_hint="(default: a Ray of this computer, ended afterwards)",
        ),
    ] = None
    gpus_per_run: Annotated[
        float | None,
        arg(
            metavar="SHARE",
            help="GPUs of each training on Ray: 0.25 lets four share one.",
            help_behavior_hint="(default: 1 where there are any)",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Raise InputError for what cannot be."""
        for flag, value in (("--workers", self.workers), ("--threads", self.threads)):
            if value is not None:
                check_size(flag, value, most=MOST_WORKERS)
        if self.name not in EXECUTORS:
            raise unknown_name("--executor", self.name, EXECUTORS)
        self._check_ray()
        if self.name == "serial" and self.workers not in (None, 1):
            raise InputError(
                "--workers", got=f"{self.workers} beside --executor serial", wanted="one worker",
                do="leave one of the two out",
            )  # fmt: skip

    def _check_ray(self) -> None:
        if self.name == "ray":
            check_installed()
        flags = {"--ray-address": self.ray_address, "--gpus-per-run": self.gpus_per_run}
        for flag, value in flags.items():
            if value is not None and self.name != "ray":
                raise InputError(
                    flag, got=f"{value} beside --executor {self.name}", wanted="--executor ray",
                    do="leave one of the two out",
                )  # fmt: skip
        gpus = self.gpus_per_run
        if gpus is not None and not (0 <= gpus <= 1 or (0 <= gpus < MOST_WORKERS and gpus.is_integer())):
            raise InputError(
                "--gpus-per-run", got=f"{gpus:g}", wanted="a share from 0 to 1, or a whole number",
                do="correct it",
            )  # fmt: skip

    @property
    def name(self) -> str:
        """Of the executor."""
        if self.executor is not None:
            return self.executor
        if self.ray_address is not None:
            return "ray"
        return "serial" if self.workers in (None, 1) else "processes"

    def made(self) -> Executor:
        """The executor."""
        return EXECUTORS[self.name](self)

    def kept_in(self, usual: Path) -> Storage:
        """The storage, in the folder ``usual`` unless told. Raises InputError if it cannot be written to."""
        if self.storage is not None and "://" in self.storage:
            found = Remote(self.storage)
            with found.token():
                return found
        folder = usual
        if self.storage is not None:
            folder = Path(self.storage)
            make_folder(folder, "--storage")
        return Folder(folder if self.name == "serial" else folder.absolute())


def _serial(asked: Executing) -> Executor:
    return Serial(asked.threads)


def _processes(asked: Executing) -> Executor:
    workers = asked.workers or cores()
    return Processes(workers, asked.threads or max(1, cores() // workers))


def _ray(asked: Executing) -> Executor:
    if asked.ray_address is not None:
        return Ray(Share(asked.threads or 1, asked.gpus_per_run), asked.workers, asked.ray_address)
    workers = asked.workers or cores()
    threads = asked.threads or max(1, cores() // workers)
    return Ray(Share(threads, asked.gpus_per_run), workers)


EXECUTORS: dict[str, Callable[[Executing], Executor]] = {
    "serial": _serial, "processes": _processes, "ray": _ray,
}  # fmt: skip
