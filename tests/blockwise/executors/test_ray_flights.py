"""How many trainings a cluster takes at a time, and what each takes of it; Ray itself is made up here."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from small_tasks import counting

from blockwise.cli.task_table import TaskTable
from blockwise.executors import ray_flights
from blockwise.executors.attempts import Attempts
from blockwise.executors.ray_flights import Flights, Share
from blockwise.executors.storage import Folder
from blockwise.executors.task import Progress
from blockwise.executors.version import Version
from blockwise.executors.worker import Order
from devices.errors import InputError


class MadeUp:
    """A cluster of these resources, which notes what tasks ask for."""

    def __init__(self, **resources: float) -> None:
        self.resources = resources
        self.asked: list[dict[str, Any]] = []
        self.letters: list[tuple[str, Any]] = []
        self.exceptions = SimpleNamespace(RayError=RuntimeError)

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": self.resources, "NodeID": "n", "NodeManagerAddress": "10.0.0.1"}]

    def remote(self, _: object) -> Any:
        def options(**asked: Any) -> Any:
            self.asked.append(asked)
            take = SimpleNamespace(remote=lambda: self.letters)
            return SimpleNamespace(remote=lambda *_: SimpleNamespace(take=take))

        return SimpleNamespace(options=options)

    def get(self, letters: Any) -> Any:
        return letters


def flights(monkeypatch, cluster: MadeUp, share: Share, workers: int | None = None) -> Flights:
    monkeypatch.setattr(ray_flights, "import_ray", lambda: cluster)
    order = Order(Folder(Path()), "", Path(), share.threads, Version("1", "", "2"))
    return Flights(order, share, workers)


def at_a_time(found: Flights) -> int:
    while found.has_room:
        found.begin(counting(str(len(found))))
    return len(found)


@pytest.mark.parametrize(
    ("cluster", "share", "workers", "wanted"),
    [
        ({"CPU": 8.0}, Share(1), None, 8),
        ({"CPU": 8.0}, Share(3), None, 2),
        ({"CPU": 8.0}, Share(1), 3, 3),
        ({"CPU": 8.0, "GPU": 2.0}, Share(1), None, 2),  # each takes one
        ({"CPU": 16.0, "GPU": 2.0}, Share(1, 0.25), None, 8),
        ({"CPU": 16.0, "GPU": 2.0}, Share(1, 2.0), None, 1),
        ({"CPU": 16.0, "GPU": 1.0}, Share(1, 0.2), None, 5),
        ({"CPU": 16.0, "GPU": 1.0}, Share(1, 0.1), None, 10),
        ({"CPU": 16.0, "GPU": 2.0}, Share(1, 0.4), None, 4),  # two on each
        ({"CPU": 8.0, "GPU": 2.0}, Share(1, 0.0), None, 8),
        ({}, Share(2), None, 1),  # nodes are still to come
    ],
)
def test_as_many_trainings_as_there_is_room_for_or_as_are_asked_for(
    cluster, share, workers, wanted, monkeypatch
):
    assert at_a_time(flights(monkeypatch, MadeUp(**cluster), share, workers)) == wanted


@pytest.mark.parametrize(
    ("cluster", "gpus", "wanted"),
    [
        ({"CPU": 4.0}, None, 0.0),
        ({"CPU": 4.0, "GPU": 1.0}, None, 1.0),
        ({"CPU": 4.0, "GPU": 1.0}, 0.25, 0.25),
    ],
)
def test_a_training_takes_its_threads_and_its_share_of_a_gpu(cluster, gpus, wanted, monkeypatch):
    made_up = MadeUp(**cluster)
    flights(monkeypatch, made_up, Share(2, gpus)).begin(counting("a"))
    asked = made_up.asked[-1]
    assert (asked["num_cpus"], asked["num_gpus"], asked["max_retries"]) == (2, wanted, 0)


def test_what_a_mailbox_has_lost_with_its_node_ends_no_study(monkeypatch):
    """That a worker has begun was told to a mailbox that is no more; how far it is comes to the next."""
    cluster, task = MadeUp(CPU=4.0), counting("a")
    found, table = flights(monkeypatch, cluster, Share(1)), TaskTable(Console(file=StringIO()), 2, 1)
    found.begin(task)
    (name,) = found._flights
    cluster.letters = [(name, Progress(0.25, "")), (name, Progress(0.5, ""))]
    found._hear(Attempts([task], table), table)
    assert table.summary().startswith("1 running, 0 waiting, 0 of 1 done")
    assert found._flights[name].where == "on the cluster"


def test_more_threads_than_any_node_has_are_refused(monkeypatch):
    found = flights(monkeypatch, MadeUp(CPU=4.0), Share(5))
    with pytest.raises(InputError, match="--threads: got 5 a training, wanted at most 4, the CPUs of a node"):
        found.check()
