"""From what a source delivers to a data set: parted, scaled to 8 bits, with its augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.data.dataset import Dataset, RawSet
from blockwise.data.partition import VALIDATION, divide
from blockwise.data.samples import Samples, Split
from blockwise.data.scaling import Scaling
from blockwise.data.signal_augment import Augmentation
from blockwise.system.lists import first_few
from blockwise.system.notes import note
from devices.errors import InputError, unknown_name

TEST_SHARE = 0.2
"""Of the samples of a source that has no test samples of its own."""
TEST_SEED = 20
"""Fixed, so that results on test samples compare whatever seed a user picks."""


@dataclass(frozen=True)
class Parting:
    """How samples are parted: the share of validation, whose samples are the test's, and the seed."""

    validation: float = VALIDATION
    hold_out: tuple[str, ...] = ()  # names of groups; () leaves the test samples as they are
    seed: int = 0


def assemble(name: str, raw: RawSet, augment: Augmentation, parting: Parting) -> Dataset:
    """The set ``name``. Scaled by its training samples alone. Raises InputError for what cannot be parted."""
    if parting.hold_out:
        learnt, test = _held_out(name, raw, parting.hold_out)
    elif raw.test is None:
        learnt, test = divide(raw.train, TEST_SHARE, seed=TEST_SEED)
        _tell(name, raw, learnt, test)
    else:
        learnt, test = raw.train, raw.test
    if not len(test):
        raise InputError(
            f"data {name}", got="one sample of each class",
            wanted="samples to learn from, and others to test on", do="add samples",
        )  # fmt: skip
    train, validation = divide(learnt, parting.validation, seed=parting.seed)
    scaling = None if train.images.dtype == torch.uint8 else _scaling(name, train.images)
    first, second, third = (_split(samples, scaling) for samples in (train, validation, test))
    return Dataset(name, raw.classes, first, second, third, augment, scaling, raw.groups)


def _scaling(name: str, values: Tensor) -> Scaling:
    """Of training values; notes channels that tell nothing."""
    scaling = Scaling.of(values)
    axes = (0, *range(2, values.ndim))
    one_value = values.amin(axes) == values.amax(axes)
    flat = [str(channel) for channel in one_value.nonzero().flatten().tolist()]
    if flat:
        what = "channels" if len(flat) > 1 else "channel"
        note(f"data {name}: {what} {first_few(flat)} of {values.shape[1]} (from 0) have one value alone")
    return scaling


def _split(samples: Samples, scaling: Scaling | None) -> Split:
    images = samples.images if scaling is None else scaling(samples.images)
    return Split(images, samples.labels, samples.groups, samples.recordings)


def _held_out(name: str, raw: RawSet, held: Sequence[str]) -> tuple[Samples, Samples]:
    """All samples but those of the groups ``held``, and these."""
    parts = [raw.train] if raw.test is None else [raw.train, raw.test]
    groups = [part.groups for part in parts if part.groups is not None]
    if not raw.groups or len(groups) < len(parts):
        raise InputError(
            "--hold-out", got=f"{name}, whose samples have no groups", wanted="samples with groups",
            do="leave it out, or give each sample's group (docs/usage.md)",
        )  # fmt: skip
    for group in held:
        if group not in raw.groups:
            raise unknown_name("--hold-out", group, raw.groups)
    everything = Samples(
        torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]),
        torch.cat(groups), _recordings(parts),
    )  # fmt: skip
    assert everything.groups is not None
    numbers = torch.tensor([raw.groups.index(group) for group in held])
    out = torch.isin(everything.groups, numbers)
    learnt = everything.select((~out).nonzero().flatten())
    missing = torch.bincount(learnt.labels, minlength=len(raw.classes)) == 0
    if bool(missing.any()):
        first = raw.classes[int(missing.nonzero()[0])]
        raise InputError(
            "--hold-out", got=f"groups without which no sample of class {first} remains",
            wanted="samples of every class to learn from", do="hold out fewer groups",
        )  # fmt: skip
    return learnt, everything.select(out.nonzero().flatten())


def _recordings(parts: Sequence[Samples]) -> torch.Tensor | None:
    """Of all parts, which number them alike; None unless each knows its own."""
    found = [part.recordings for part in parts if part.recordings is not None]
    return torch.cat(found) if len(found) == len(parts) else None


def _tell(name: str, raw: RawSet, learnt: Samples, test: Samples) -> None:
    count = f"{len(test):,} of {len(test) + len(learnt):,} samples are held out for test"
    if test.groups is None:
        note(f"data {name}: no test samples: {count}, class by class")
        return
    names = [raw.groups[number] for number in test.groups.unique().tolist()]
    note(f"data {name}: no test samples: {count}, by group: {first_few(names)} of {len(raw.groups)} groups")
