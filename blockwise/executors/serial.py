"""One task after the other, in this process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch

from blockwise.executors.storage import Storage
from blockwise.executors.task import Answers, Finished, Task, Told
from blockwise.executors.worker import perform


@dataclass(frozen=True)
class Serial:
    """The executor that needs nothing."""

    threads: int | None = None  # of a task; None: as PyTorch has them

    def run(self, tasks: Sequence[Task], storage: Storage, told: Told) -> Answers:
        """In the order of ``tasks``."""
        for task in tasks:
            told.begun(task, "")
            with _on(self.threads):
                answer = perform(task, storage, partial(told.heard, task))
            told.finished(task)
            yield Finished(task, answer)


@contextmanager
def _on(threads: int | None) -> Iterator[None]:
    """So many threads, if they are asked for, while the context is."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
