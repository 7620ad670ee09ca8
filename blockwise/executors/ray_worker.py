"""The side of a worker on Ray: what it does with a task, and how it tells of it."""

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from blockwise.executors.ray_cluster import import_ray
from blockwise.executors.task import Message, Task
from blockwise.executors.worker import Done, Failed, Order, check_worker, perform_elsewhere
from devices.errors import InputError


@dataclass(frozen=True)
class Began:
    """A worker's first message."""

    where: str


class Mailbox:
    """What workers tell, until it is taken: an actor of Ray."""

    def __init__(self) -> None:
        self._letters: list[tuple[str, Message | Began]] = []

    def put(self, flight: str, message: Message | Began) -> None:
        """One message."""
        self._letters.append((flight, message))

    def take(self) -> list[tuple[str, Message | Began]]:
        """All that came since, in order."""
        letters, self._letters = self._letters, []
        return letters


def _where() -> str:
    return f"{import_ray().util.get_node_ip_address()}, process {os.getpid()}"


def look(order: Order) -> Done | Failed:
    """Whether a worker will do."""
    try:
        check_worker(order, _where())
    except InputError as error:
        return Failed(error)
    return Done(None)


def work(task: Task, order: Order, flight: str, mailbox: Any) -> Done | Failed:
    """Do ``task`` as the worker of ``flight``."""
    ray, where = import_ray(), _where()
    letters = _Letters(mailbox, flight)
    letters(Began(where))
    found = perform_elsewhere(task, order, where, letters)
    with suppress(ray.exceptions.RayError):  # what was told must be there before the answer
        ray.get(letters.last)
    return found


class _Letters:
    """Puts messages of one flight into the mailbox, in order."""

    def __init__(self, mailbox: Any, flight: str) -> None:
        self._mailbox, self._flight = mailbox, flight
        self.last: Any = None

    def __call__(self, message: Message | Began) -> None:
        self.last = self._mailbox.put.remote(self._flight, message)
