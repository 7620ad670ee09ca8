"""Whose samples are for what: the others', and of the held-out group those to adapt to and those to test on.

No recording, and no value of one, is on both sides of the held-out group's split.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from blockwise.data import Augment, Dataset, Split
from devices.errors import InputError

GAP = 2
"""Windows of a recording left out between what is adapted to and what is tested on. Those of ``watch``
overlap by half: behind one that is left out nothing is shared, behind two half a window lies between."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The samples of one held-out group: both at the constants of the others, by which a network is deployed.

    ``others`` has the samples of all others, ``person`` as training and test samples those of the group.
    """

    others: Dataset
    person: Dataset

    @property
    def unseen(self) -> Split:
        """Others that were not trained on: those on whom the epoch was chosen."""
        return self.others.validation


def parts_of(others: Dataset, by: str) -> Parts:
    """Divide the test samples of ``others``, the held-out group's, as :data:`SPLITS` has it.

    Raises InputError where they cannot be divided.
    """
    samples = others.test
    adapt, test = SPLITS[by](samples, recordings_of(samples))
    _check(samples, adapt, test, by)
    nothing = samples.select(torch.empty(0, dtype=torch.int64))
    person = replace(
        others, train=samples.select(adapt), validation=nothing, test=samples.select(test),
        moments=(others.mean, others.std), policy=Augment(),
    )  # fmt: skip
    return Parts(others, person)


def recordings_of(samples: Split) -> Tensor:
    """Numbers int64 (N,) of what was recorded in one go: as the source tells, else runs of one class."""
    if samples.recordings is not None:
        return samples.recordings
    begins = torch.ones(len(samples), dtype=torch.int64)
    begins[1:] = (samples.labels[1:] != samples.labels[:-1]).long()
    return begins.cumsum(0)


def by_recording(samples: Split, recordings: Tensor) -> tuple[Tensor, Tensor]:
    """Of each class the first half of the recordings is adapted to, by their number; the rest is tested."""
    first: list[int] = []
    for label in samples.labels.unique().tolist():
        own = recordings[samples.labels == label].unique().tolist()
        if len(own) < 2:
            raise InputError(
                "--split", got="recording, where a class has a single recording",
                wanted="two recordings of every class", do="use --split time",
            )  # fmt: skip
        first += own[: len(own) // 2]
    adapt = torch.isin(recordings, torch.tensor(first))
    return adapt.nonzero().flatten(), (~adapt).nonzero().flatten()


def by_time(samples: Split, recordings: Tensor) -> tuple[Tensor, Tensor]:
    """The first half of every recording is adapted to; behind :data:`GAP` samples the rest is tested."""
    adapt, test = [], []
    for number in recordings.unique().tolist():
        own = (recordings == number).nonzero().flatten()
        half = (len(own) - GAP + 1) // 2
        adapt.append(own[: max(half, 0)])
        test.append(own[max(half, 0) + GAP :])
    return torch.cat(adapt), torch.cat(test)


SPLITS: dict[str, Callable[[Split, Tensor], tuple[Tensor, Tensor]]] = {
    "recording": by_recording, "time": by_time,
}  # fmt: skip
"""By name: what divides the samples of a group, given the recordings they are of."""


def _check(samples: Split, adapt: Tensor, test: Tensor, by: str) -> None:
    """Refuse a division that leaves a class out of either side."""
    classes = samples.labels.unique()
    for index in (adapt, test):
        if not torch.isin(classes, samples.labels[index]).all():
            raise InputError(
                f"--split {by}", got="too few samples of a class to divide",
                wanted="some to adapt to and some to test on, of every class",
                do="hold out another group, or record more",
            )  # fmt: skip
