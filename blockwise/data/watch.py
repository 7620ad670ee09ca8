"""``watch``: shoulder exercises told apart by a smartwatch on the wrist of the arm that moves.

The recordings of Burns et al. 2018 (arXiv 1802.01489) that the package seglearn (BSD) ships: 10 people,
each of 7 exercises of a rotator cuff programme with either arm, about 20 repetitions: 140 recordings of 19 to
52 s, 81 minutes in all. Acceleration and rotation about three axes, 50 values a second. Nobody and no
recording is on two sides of a split; the paper's folds by subject likewise tell of people whom a network has
not seen.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from blockwise.data.dataset import RawSet
from blockwise.data.samples import Samples
from devices.errors import InputError

PACKAGE = "seglearn"
WINDOW = 200
"""Values, 4 s: a slow repetition, or two. Of people whom a network has not seen it tells more than of 2 s."""
STEP = WINDOW // 2
"""From one window to the next: they overlap by half."""
TEST_PEOPLE = (9, 10)
"""A fifth of all, as in the paper's five folds; the same whatever the seed."""
TURN = 25.0
"""Degrees by which a watch sits differently: with turns a network tells more of people it has not seen."""
VALIDATION = 0.25
"""Of the other eight people: two."""
CHANNELS = 6
RECORDINGS = 140


def read_watch(cache_dir: Path | None, download: bool) -> RawSet:
    """Windows float32 (N, 6, 200) of all recordings, grouped by people.

    Raises InputError without the package.
    """
    recordings = _recordings()
    names = tuple(recordings["y_labels"])
    people = np.unique(recordings["subject"])
    parts = [windows(recording) for recording in recordings["X"]]
    counts = [len(part) for part in parts]
    exercise = torch.from_numpy(np.repeat(recordings["y"], counts).astype(np.int64))
    person = np.repeat(np.searchsorted(people, recordings["subject"]), counts)
    everything = Samples(
        torch.from_numpy(np.concatenate(parts)), exercise, torch.from_numpy(person.astype(np.int64)),
        torch.from_numpy(np.repeat(_numbers(recordings["side"]), counts)),
    )  # fmt: skip
    test = torch.from_numpy(np.isin(people[person], TEST_PEOPLE))
    return RawSet(
        names, everything.select((~test).nonzero().flatten()), everything.select(test.nonzero().flatten()),
        tuple(str(number) for number in people),
    )  # fmt: skip


def windows(recording: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """All whole windows (n, 6, 200) of a recording (T, 6), from its start on; the rest is left out."""
    views = np.lib.stride_tricks.sliding_window_view(recording, WINDOW, axis=0)[::STEP]
    return views.astype(np.float32)


def _numbers(side: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Of the recordings: all those of one arm, 0 in the package, before those of the other."""
    return np.argsort(np.argsort(side, kind="stable"), kind="stable").astype(np.int64)


def _recordings() -> dict[str, Any]:
    found = find_spec(PACKAGE)  # the package itself need not be imported
    places = found.submodule_search_locations if found is not None else None
    if not places:
        raise InputError(
            "data set watch", got=f"no package {PACKAGE}", wanted="the recordings that it ships",
            do="pip install '.[signals]'",
        )  # fmt: skip
    path = Path(places[0]) / "data" / "watch_dataset.npy"
    try:
        recordings: dict[str, Any] = np.load(path, allow_pickle=True).item()  # as installed with the package
        if [x.shape[1] for x in recordings["X"]] != [CHANNELS] * RECORDINGS:
            raise ValueError("other recordings")
    except Exception as error:  # absent, damaged or of another version
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"data set watch: {path}", got=text, wanted=f"{RECORDINGS} recordings of {CHANNELS} channels",
            do=f"install {PACKAGE} 1.2 again",
        ) from error  # fmt: skip
    return recordings
