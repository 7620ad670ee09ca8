"""Tasks on their way through a Ray cluster, and what their workers tell meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from math import floor
from typing import Any

from blockwise.executors.attempts import Attempts
from blockwise.executors.ray_cluster import import_ray
from blockwise.executors.ray_worker import Began, Mailbox, look, work
from blockwise.executors.task import Message, Task, Told
from blockwise.executors.worker import Done, Failed, Order
from devices.errors import InputError

PAUSE_S = 0.5
"""From one look at what workers tell to the next."""
GRACE_S = 10.0
"""So long workers may take to remove what is half written before they are killed."""
SLOWEST_S = 120.0
"""For a node to start a worker that tells what it has."""
SMALL = 1e-6
"""Of a task: ten tenths of a GPU are one, however they are rounded."""
SOMEWHERE = "on the cluster"


@dataclass(frozen=True)
class Share:
    """What a task takes of the cluster."""

    threads: int  # each a CPU of Ray
    gpus: float | None = None  # None: one where there are any


@dataclass
class Flight:
    """A task that was sent off."""

    task: Task
    name: str  # of its own, also if the same task was sent before
    reference: Any  # Ray's, of what it ends with
    where: str = ""  # once a worker has begun


class Flights:
    """Of one run of the executor, on a Ray that is connected; ``workers``: at a time, None: what has room."""

    def __init__(self, order: Order, share: Share, workers: int | None) -> None:
        self.ray, self.order, self.share, self.workers = import_ray(), order, share, workers
        self._flights: dict[str, Flight] = {}
        self._sent = 0
        self._mailbox = self.ray.remote(Mailbox).options(num_cpus=0, max_restarts=-1).remote()

    def __len__(self) -> int:
        return len(self._flights)

    # ---------------------------------------------------------------- before the first

    def check(self) -> None:
        """Raise InputError unless every node has this code and the storage, and one has room for a task."""
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        most = max(node["Resources"].get("CPU", 0.0) for node in nodes)
        if 0 < most < self.share.threads:  # without any, nodes are still to come
            raise InputError(
                "--threads", got=f"{self.share.threads} a training",
                wanted=f"at most {most:g}, the CPUs of a node", do="ask for fewer",
            )  # fmt: skip
        sent = [self._on_node(node["NodeID"]).remote(self.order) for node in nodes]
        for node, reference in zip(nodes, sent, strict=True):
            found = self._end_of(reference, node["NodeManagerAddress"], SLOWEST_S)
            if isinstance(found, str):
                raise RuntimeError(found)
            if isinstance(found, Failed):
                raise found.error

    def _on_node(self, node: str) -> Any:
        strategies = import_module("ray.util.scheduling_strategies")
        there = strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        return self.ray.remote(look).options(num_cpus=0, max_retries=0, scheduling_strategy=there)

    # ---------------------------------------------------------------- on their way

    @property
    def has_room(self) -> bool:
        """For one more task: Ray takes any number, and would not tell which of them wait."""
        if self.workers is not None:
            return len(self) < self.workers
        there = self.ray.cluster_resources()
        room = there.get("CPU", 0.0) // self.share.threads
        if self._gpus:
            room = min(room, _places(there.get("GPU", 0.0), self._gpus))
        return bool(len(self) < max(1, room))

    @property
    def _gpus(self) -> float:
        if self.share.gpus is not None:
            return self.share.gpus
        return 1.0 if self.ray.cluster_resources().get("GPU") else 0.0

    def begin(self, task: Task) -> None:
        """Send it off; Ray itself tries nothing again, for it would not tell."""
        self._sent += 1
        name = f"{self._sent} {task.key}"
        sent = self.ray.remote(work).options(
            num_cpus=self.share.threads, num_gpus=self._gpus, max_retries=0, name=task.title
        )
        reference = sent.remote(task, self.order, name, self._mailbox)
        self._flights[name] = Flight(task, name, reference)

    def ended(self, attempts: Attempts, told: Told) -> Iterator[tuple[Task, Done | Failed | str]]:
        """Wait a little; the tasks that have ended by then, or in words how their workers died."""
        waiting = {flight.reference: flight for flight in self._flights.values()}
        ready, _ = self.ray.wait(list(waiting), num_returns=len(waiting), timeout=PAUSE_S)
        self._hear(attempts, told)
        for flight in (waiting[reference] for reference in ready):
            del self._flights[flight.name]
            _begin(flight, told)
            yield flight.task, self._end_of(flight.reference, flight.where)

    def _hear(self, attempts: Attempts, told: Told) -> None:
        letters: list[tuple[str, Message | Began]] = []
        with suppress(self.ray.exceptions.RayError):  # lost with its node: another one comes
            letters = self.ray.get(self._mailbox.take.remote())
        for name, message in letters:
            flight = self._flights.get(name)
            if flight is None:
                continue  # of a worker that has died since
            if isinstance(message, Began):
                _begin(flight, told, message.where)
            else:
                _begin(flight, told)
                attempts.heard(flight.task, message)

    def _end_of(self, reference: Any, where: str, timeout: float | None = None) -> Done | Failed | str:
        known = self.ray.exceptions
        try:
            found: Done | Failed = self.ray.get(reference, timeout=timeout)
        except self._deaths as error:
            return f"its worker, {where}, died ({type(error).__name__})"
        except known.GetTimeoutError:
            return f"no worker on {where} began within {SLOWEST_S:g} s"
        except known.RayError as error:
            return Failed(_of_ray(error, where))
        return found

    @property
    def _deaths(self) -> tuple[type[Exception], ...]:
        """What Ray raises for a worker, or its node, that is no more; or for an answer that went with it."""
        known = self.ray.exceptions
        return known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError, known.ObjectLostError

    @contextmanager
    def none_left(self) -> Iterator[None]:
        """However the context ends, no worker goes on, and none is stopped in the middle of a file."""
        try:
            yield
        finally:
            left = [flight.reference for flight in self._flights.values()]
            for reference in left:
                self.ray.cancel(reference)  # raises KeyboardInterrupt there
            if left:
                _, left = self.ray.wait(left, num_returns=len(left), timeout=GRACE_S)
            for reference in left:
                self.ray.cancel(reference, force=True)


def _of_ray(error: Exception, where: str) -> Exception:
    """What Ray says of a task that it could not even begin."""
    if "No module named" in str(error):
        missing = str(error).rpartition("No module named")[2].split()[0]
        return InputError(
            f"worker on {where}", got=f"no module {missing}", wanted="this version of Blockwise",
            do="install the same there",
        )  # fmt: skip
    lines = str(error).strip().splitlines()
    return RuntimeError(f"Ray, on {where}: {lines[-1] if lines else type(error).__name__}")


def _places(gpus: float, share: float) -> float:
    """For trainings that take a share of one, or several whole ones."""
    return gpus * floor(1 / share + SMALL) if share < 1 else gpus // share


def _begin(flight: Flight, told: Told, where: str = "") -> None:
    """Once; what its worker told of the place may be lost with the mailbox."""
    if not flight.where:
        flight.where = where or SOMEWHERE
        told.begun(flight.task, where)
