"""One task after the other, in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from blockwise.executors.storage import Storage
from blockwise.executors.task import Answers, Finished, Task, Told
from blockwise.executors.worker import perform


@dataclass(frozen=True)
class Serial:
    """The executor that needs nothing."""

    def run(self, tasks: Sequence[Task], storage: Storage, told: Told) -> Answers:
        """In the order of ``tasks``."""
        for task in tasks:
            told.begun(task, "")
            answer = perform(task, storage, partial(told.heard, task))
            told.finished(task)
            yield Finished(task, answer)
