"""Tasks on a Ray cluster, of this computer or of many. The package ray is loaded when tasks are run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blockwise.executors.attempts import Attempts
from blockwise.executors.ray_cluster import connected
from blockwise.executors.ray_flights import Flights, Share
from blockwise.executors.storage import Storage
from blockwise.executors.task import Answers, Finished, Task, Told
from blockwise.executors.version import Version
from blockwise.executors.worker import Failed, Order


@dataclass(frozen=True)
class Ray:
    """At ``address``; without one on a Ray that is started here with ``workers``, and ended afterwards."""

    share: Share
    workers: int | None  # at a time; None: as many as there is room for
    address: str | None = None

    def run(self, tasks: Sequence[Task], storage: Storage, told: Told) -> Answers:
        """As they end. Raises InputError for an address, or workers, that will not do.

        Raises GivenUp at the end for a task whose workers die again and again.
        """
        attempts = Attempts(tasks, told)
        with connected(self.address, (self.workers or 1) * self.share.threads), storage.token() as token:
            order = Order(storage, token, Path.cwd(), self.share.threads, Version.here())
            flights = Flights(order, self.share, self.workers)
            flights.check()
            with flights.none_left():
                yield from _answers(flights, attempts, told)
        attempts.check()


def _answers(flights: Flights, attempts: Attempts, told: Told) -> Iterator[Finished]:
    while True:
        while flights.has_room and (task := attempts.take()):
            flights.begin(task)
        if not len(flights):
            return
        for task, found in flights.ended(attempts, told):
            if isinstance(found, str):
                attempts.died(task, found)
            elif isinstance(found, Failed):
                raise found.error
            else:
                told.finished(task)
                yield Finished(task, found.answer)
