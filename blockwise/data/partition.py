"""Which samples are held out of a training: a share of each class, or whole groups."""

from typing import TypeVar

import torch
from torch import Tensor

from blockwise.data.samples import Samples, Split
from devices.errors import InputError

AnySamples = TypeVar("AnySamples", bound=Samples)

VALIDATION = 0.05
"""Share of the training set that is validated on, unless a set has its own or one is asked for."""


def split_validation(
    images: Tensor, labels: Tensor, fraction: float = VALIDATION, *, seed: int
) -> tuple[Split, Split]:
    """Divide uint8 images (N, ...) and labels (N,) into (train, validation), class by class.

    See :func:`divide`.
    """
    return divide(Split(images, labels), fraction, seed=seed)


def divide(samples: AnySamples, share: float, *, seed: int) -> tuple[AnySamples, AnySamples]:
    """What remains and what is held out, about ``share`` of the samples; both keep their order.

    Samples with groups are held out group by group (see :func:`groups_held_out`), all others class by
    class: each class gives the nearest integer to ``share`` of its samples, at least one if it has two, and
    keeps at least one. Raises InputError for a share that is none, and groups that cannot be parted.
    """
    if not 0 < share < 1:
        raise InputError(
            "validation fraction", got=share, wanted="more than 0 and less than 1", do="try 0.05"
        )
    if samples.groups is not None:
        out = torch.isin(samples.groups, groups_held_out(samples.labels, samples.groups, share, seed))
    else:
        out = _by_class(samples.labels, share, seed)
    return samples.select((~out).nonzero().flatten()), samples.select(out.nonzero().flatten())


def _by_class(labels: Tensor, share: float, seed: int) -> Tensor:
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    for label in torch.bincount(labels).nonzero().flatten().tolist():
        members = (labels == label).nonzero().flatten()
        count = min(max(round(len(members) * share), 1), len(members) - 1)
        held_out[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return held_out


def groups_held_out(labels: Tensor, groups: Tensor, share: float, seed: int) -> Tensor:
    """The groups int64 (G,) that are held out: one at least, and every class remains.

    In an order drawn from ``seed``, a group goes out if that brings the held-out samples of the classes
    nearer to ``share`` of them; where none does, that which leads away the least.
    """
    names: Tensor
    names, group = groups.unique(return_inverse=True)
    counts = torch.zeros(len(names), int(labels.max()) + 1, dtype=torch.float64)
    counts.index_put_((group, labels), torch.ones(len(labels), dtype=torch.float64), accumulate=True)
    total, held = counts.sum(0), torch.zeros(counts.shape[1], dtype=torch.float64)
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()

    def distance(held: Tensor) -> float:
        return float((held - share * total).abs().sum())

    def can_go(number: int, held: Tensor) -> bool:
        return bool((held + counts[number] < total)[total > 0].all())

    chosen: list[int] = []
    for number in order:
        if can_go(number, held) and distance(held + counts[number]) < distance(held):
            held += counts[number]
            chosen.append(number)
    if not chosen:
        free = [number for number in order if can_go(number, held)]
        if not free:
            raise InputError(
                "groups", got="a class of one group alone, in every group",
                wanted="one that can be held out while every class remains",
                do="record more, or leave groups out",
            )  # fmt: skip
        chosen = [min(free, key=lambda number: distance(counts[number]))]
    return names.index_select(0, torch.tensor(sorted(chosen)))
