"""How far a check is, told while it runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Tell = Callable[[str, int], None]
"""Told what is being done, and how many steps of it are behind."""

SECONDS = 0.2
"""Between two looks at a file that grows."""


def silent(what: str, done: int) -> None:
    """Tells nobody."""


@contextmanager
def growing(path: Path, per_step: int, what: str, tell: Tell) -> Iterator[None]:
    """Tell, while the context lasts, how many pieces of ``per_step`` bytes the file at ``path`` has."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(SECONDS):
            if path.exists():
                tell(what, path.stat().st_size // per_step)

    thread = threading.Thread(target=look, daemon=True)
    tell(what, 0)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
