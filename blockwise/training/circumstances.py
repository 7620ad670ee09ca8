"""What the bits of a training hang on beside its configuration: kept in its checkpoint, told on resuming.

Sums are split among the threads and rounded part by part; PyTorch's version and the instructions of the
processor decide how each part is summed.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from blockwise.training import checkpoint
from blockwise.training.places import Circumstances, Place, count


def state_of(places: Sequence[Place]) -> dict[str, Any]:
    """What a checkpoint holds: how its training was begun, and each change since."""
    return {
        "circumstances": asdict(places[0].circumstances) if places else None,
        "changes": [asdict(place) for place in places[1:]],
    }


def places_in(state: Mapping[str, Any], first: str) -> tuple[Place, ...]:
    """Where the training of a checkpoint was done; ``first`` is the block whose training was its first.

    Earlier versions kept the last place alone.
    """
    if state["circumstances"] is None:
        return ()
    changes = [
        Place(change["block"], change["epoch"], Circumstances(**change["circumstances"]))
        for change in state.get("changes", ())
    ]
    return (Place(first, 1, Circumstances(**state["circumstances"])), *changes)


def kept(path: Path) -> tuple[Circumstances, ...]:
    """Those in which the training of the checkpoint at ``path`` was done, in order.

    Empty if there is no checkpoint, or it cannot be read.
    """
    with contextlib.suppress(Exception):  # what is wrong with it is told when it is resumed
        state = checkpoint.load(path, None)
        return () if state is None else tuple(place.circumstances for place in places_in(state, ""))
    return ()


@contextlib.contextmanager
def as_begun(paths: Iterable[Path], accelerator: str = "cpu", compiled: bool | None = None) -> Iterator[None]:
    """Go on as the first of the checkpoints at ``paths`` was begun, on as many threads.

    ``accelerator`` is the torch device that trains, ``compiled`` says whether steps are, where that is open.
    What is then otherwise than in any part of the training before, and cannot be helped, is told in one line
    on stderr.
    """
    before, now = [found for path in paths for found in kept(path)], Circumstances.now(accelerator, compiled)
    told = _told(before, now)
    if not told:
        yield
        return
    print(f"blockwise: {told}", file=sys.stderr)
    torch.set_num_threads(before[0].threads)
    try:
        yield
    finally:
        torch.set_num_threads(now.threads)


def _told(before: Sequence[Circumstances], now: Circumstances) -> str:
    parts = []
    if before and before[0].threads != now.threads:
        parts.append(
            f"goes on with {count(before[0].threads)}, as the run began, not with {now.threads}, "
            "on which its weights would depend"
        )
    other = next((found for found in before if found.differs_in(now)), None)
    if other is not None:
        changed = other.differs_in(now)
        old, new = (", ".join(map(c.said, changed)) for c in (other, now))
        began = "the run began" if other == before[0] else "a part of the run was trained"
        parts.append(f"{began} with {old}, not {new}: its weights may differ from an uninterrupted run's")
    return "; ".join(parts)
