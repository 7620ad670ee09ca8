"""What every worker does with a task, wherever it is."""

from typing import Any

from blockwise.executors.reports import Reports
from blockwise.executors.storage import Storage
from blockwise.executors.task import Task, Tell


def perform(task: Task, storage: Storage, tell: Tell) -> Any:
    """The answer of the task's work; after every epoch what it keeps is safe in ``storage``."""
    with storage.opened(task.kept) as place:
        answer = task.work(place.folder, Reports(tell, place.save))
        place.save()
    return answer
