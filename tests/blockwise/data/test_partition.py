"""What is held out: by class, or whole groups so that nobody is on both sides."""

import pytest
import torch
from sets import pixels

from blockwise.data.dataset import Dataset, Split
from blockwise.data.partition import divide, groups_held_out
from blockwise.data.samples import Samples
from devices.errors import InputError


def grouped(groups: list[int], labels: list[int]) -> Samples:
    images = torch.arange(len(groups), dtype=torch.float32).view(-1, 1)
    return Samples(images, torch.tensor(labels), torch.tensor(groups))


def test_the_contents_of_a_set_are_the_same_however_it_is_split() -> None:
    images = torch.randint(0, 256, (30, 1, 2, 2), dtype=torch.uint8)
    labels = torch.randint(0, 3, (30,))

    def dataset(order: torch.Tensor, labels: torch.Tensor) -> Dataset:
        splits = (Split(images[part], labels[part]) for part in order.split([20, 5, 5]))
        return Dataset("own", ("a", "b", "c"), *splits)

    one, two = dataset(torch.arange(30), labels), dataset(torch.randperm(30), labels)
    assert one.contents == two.contents and one.fingerprint != two.fingerprint
    other = labels.clone()
    other[0] = (other[0] + 1) % 3
    assert dataset(torch.arange(30), other).contents != one.contents


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides_and_every_sample_is_on_one(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    groups = torch.randint(0, 9, (200,), generator=draw)
    whole = grouped(groups.tolist(), torch.randint(0, 3, (200,), generator=draw).tolist())
    rest, out = divide(whole, 0.3, seed=seed)
    assert rest.groups is not None and out.groups is not None
    assert not set(rest.groups.tolist()) & set(out.groups.tolist())
    assert sorted(rest.images.flatten().tolist() + out.images.flatten().tolist()) == list(range(200))
    assert 0.15 < len(out) / 200 < 0.45
    for part in (rest, out):
        index = part.images.flatten().long()
        assert torch.equal(part.labels, whole.labels[index]) and torch.equal(part.groups, groups[index])


def test_equal_groups_are_held_out_by_their_share() -> None:
    whole = grouped([g for g in range(8) for _ in range(6)], [0, 1, 2] * 16)
    for share, count in ((0.05, 1), (0.125, 1), (0.25, 2), (0.5, 4)):
        assert len(groups_held_out(whole.labels, torch.arange(48) // 6, share, 0)) == count
    drawn = {tuple(groups_held_out(whole.labels, torch.arange(48) // 6, 0.25, s).tolist()) for s in range(20)}
    assert len(drawn) > 5


def test_groups_of_one_class_each_are_held_out_of_every_class() -> None:
    labels = torch.arange(40) // 2 % 4  # recordings of two samples, five of each class
    out = groups_held_out(labels, torch.arange(40) // 2, 0.2, 3)
    assert torch.bincount(labels[torch.isin(torch.arange(40) // 2, out)]).tolist() == [2, 2, 2, 2]


def test_a_group_that_alone_has_a_class_stays() -> None:
    for seed in range(10):
        out = groups_held_out(torch.tensor([0, 1, 0, 2, 0, 1]), torch.tensor([0, 0, 1, 1, 2, 2]), 0.3, seed)
        assert out.tolist() in ([0], [2])


def test_groups_that_cannot_be_parted_are_refused() -> None:
    with pytest.raises(InputError, match="groups: got a class of one group alone, in every group"):
        divide(grouped([0, 0, 1, 1], [0, 0, 1, 1]), 0.5, seed=0)


def test_samples_refuse_groups_of_another_length() -> None:
    with pytest.raises(ValueError, match="groups"):
        Samples(pixels(3, 2), torch.arange(3), torch.arange(2))
    with pytest.raises(ValueError, match="images"):
        Samples(pixels(3), torch.arange(3))
