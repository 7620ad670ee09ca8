"""A study in other processes, one of them killed: the records and digests of the same study in this one."""

from pathlib import Path
from typing import Any

import pytest
from killers import Killer
from ray_head import WITH_RAY
from small_tasks import Heard

from blockwise.executors.processes import Processes
from blockwise.executors.ray import Ray
from blockwise.executors.ray_flights import Share
from blockwise.executors.serial import Serial
from blockwise.executors.storage import Folder
from blockwise.executors.task import Executor, Told
from blockwise.studies import qat, records
from blockwise.studies.qat import QatProtocol, QatSpace
from blockwise.studies.tasks import run_all, task_of

pytestmark = pytest.mark.slow

PROTOCOL = QatProtocol("tiny", "", epochs=6, batch_size=32, image_size=None, width=4, seeds=(0,))
TIMES = ("seconds", "images_per_second", "created")


def rows(executor: Executor, folder: Path, told: Told) -> dict[str, dict[str, Any]]:
    """What the study records, without times, by keys."""
    folder.mkdir()
    path = folder / "study.jsonl"
    jobs = qat.jobs(QatSpace(("fp32", "lsq"), model="cnn", source="digits"), PROTOCOL)
    tasks = [task_of(job, job.conditions["method"], path, "") for job in jobs]
    list(run_all(tasks, path, executor, Folder(folder), told))
    assert [file.name for file in folder.iterdir()] == ["study.jsonl"]
    found = records.read(path)
    assert len(found) == len(jobs)
    return {row["key"]: {name: v for name, v in row.items() if name not in TIMES} for row in found}


def differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The entries in which two records differ, and how."""
    return {
        name: (one.get(name), other.get(name)) for name in one | other if one.get(name) != other.get(name)
    }


@pytest.fixture(scope="module")
def serially(tmp_path_factory) -> dict[str, dict[str, Any]]:
    return rows(Serial(threads=1), tmp_path_factory.mktemp("serial") / "study", Heard())


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(Processes(workers=2, threads=1), id="processes"),
        pytest.param(Ray(Share(threads=1), workers=2), id="ray", marks=WITH_RAY),
    ],
)
def test_a_worker_that_is_killed_in_mid_training_changes_no_record(executor, serially, tmp_path):
    killer = Killer()
    found = rows(executor, tmp_path / "study", killer)
    assert found.keys() == serially.keys()
    assert [differing(found[key], serially[key]) for key in found] == [{}] * len(found)
    assert [word.split(",")[0] for word in killer.words if "lost" in word] == [
        f"{killer.killed} lost: its worker"
    ]
    assert all(len(row["digest"]) == 8 for row in serially.values())
