"""Flags of where trainings run, and the executor that they ask for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from blockwise.executors.processes import Processes
from blockwise.executors.serial import Serial
from blockwise.executors.storage import Folder, Storage
from blockwise.executors.task import Executor
from blockwise.system.processes import cores
from blockwise.system.sizes import check_size
from devices.errors import InputError, unknown_name

MOST_WORKERS = 10**5


@dataclass(frozen=True)
class Executing:
    """Where trainings run. Raises InputError for what cannot be."""

    executor: Annotated[
        str | None,
        arg(
            metavar="NAME",
            help="Where trainings run: serial (one after the other, here) or processes (several of this "
            "computer).",
            help_behavior_hint="(default: serial; with --workers processes)",
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
            help_behavior_hint="(default: the cores, shared out among the workers)",
        ),
    ] = None

    def __post_init__(self) -> None:
        for flag, value in (("--workers", self.workers), ("--threads", self.threads)):
            if value is not None:
                check_size(flag, value, most=MOST_WORKERS)
        if self.name not in EXECUTORS:
            raise unknown_name("--executor", self.name, EXECUTORS)
        if self.name == "serial" and self.workers not in (None, 1):
            raise InputError(
                "--workers", got=f"{self.workers} beside --executor serial", wanted="one worker",
                do="leave one of the two out",
            )  # fmt: skip

    @property
    def name(self) -> str:
        """Of the executor."""
        if self.executor is not None:
            return self.executor
        return "serial" if self.workers in (None, 1) else "processes"

    def made(self) -> Executor:
        """The executor."""
        return EXECUTORS[self.name](self)

    def storage(self, usual: Path) -> Storage:
        """Where trainings keep what they go on from: in the folder ``usual``."""
        return Folder(usual)


def _serial(asked: Executing) -> Executor:
    return Serial(asked.threads)


def _processes(asked: Executing) -> Executor:
    workers = asked.workers or cores()
    return Processes(workers, asked.threads or max(1, cores() // workers))


EXECUTORS: dict[str, Callable[[Executing], Executor]] = {"serial": _serial, "processes": _processes}
