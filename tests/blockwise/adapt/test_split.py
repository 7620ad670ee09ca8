"""Nothing that is adapted to is tested on: no recording, and no value of one."""

import pytest
import torch

from blockwise.adapt.split import GAP, SPLITS, parts_of, recordings_of
from blockwise.data import Dataset, Split, load
from devices.errors import InputError

WINDOW, STEP = 100, 50


def person(counts: dict[tuple[int, int], int]) -> Split:
    """Windows of recordings: (class, recording) -> how many; each is filled with its number within it."""
    labels = torch.tensor([c for (c, _), n in counts.items() for _ in range(n)])
    recordings = torch.tensor([r for (_, r), n in counts.items() for _ in range(n)])
    places = torch.tensor([i for n in counts.values() for i in range(n)], dtype=torch.uint8)
    return Split(places.view(-1, 1, 1).expand(-1, 1, 4).contiguous(), labels, None, recordings)


def dataset(samples: Split) -> Dataset:
    return Dataset("set", ("a", "b"), person({(0, 90): 9, (1, 91): 9}), person({(0, 80): 3}), samples)


TWICE = person({(0, 1): 9, (1, 4): 8, (0, 3): 7, (1, 2): 10})


def test_whole_recordings_are_adapted_to_the_lower_numbers_of_each_class():
    parts = parts_of(dataset(TWICE), "recording")
    train, test = (split.recordings for split in (parts.person.train, parts.person.test))
    assert train is not None and test is not None
    assert (sorted(set(train.tolist())), sorted(set(test.tolist()))) == ([1, 2], [3, 4])
    assert len(train) + len(test) == len(TWICE)


def test_between_what_is_adapted_to_and_the_rest_of_a_recording_lies_time():
    parts = parts_of(dataset(TWICE), "time")
    for number in (1, 2, 3, 4):
        ends, begins = (
            [int(i) * STEP for i in split.images[split.recordings == number][:, 0, 0]]
            for split in (parts.person.train, parts.person.test)
        )
        assert min(begins) - (max(ends) + WINDOW) == (GAP - 1) * STEP  # half a window
        assert abs(len(ends) - len(begins)) <= 1


def test_the_person_is_seen_at_the_constants_of_the_others_and_without_augmentation():
    others = dataset(TWICE)
    parts = parts_of(others, "time")
    assert (parts.person.mean, parts.person.std) == (others.mean, others.std)
    assert parts.person.mean != dataset(TWICE).test.images.double().mean().item() / 255
    assert not parts.person.augmentable
    assert len(parts.person.validation) == 0
    assert parts.unseen is others.validation


def test_where_a_set_names_no_recordings_a_run_of_one_class_is_one():
    samples = Split(torch.zeros(6, 3, dtype=torch.uint8), torch.tensor([0, 0, 1, 1, 0, 1]))
    assert recordings_of(samples).tolist() == [1, 1, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("by", "counts", "message"),
    [
        ("recording", {(0, 1): 9, (1, 2): 9, (1, 3): 9}, "a class has a single recording.*use --split time"),
        ("time", {(0, 1): 9, (1, 2): 2}, "too few samples of a class to divide"),
    ],
)
def test_a_person_who_cannot_be_divided_is_refused_in_one_line(by, counts, message):
    with pytest.raises(InputError, match=message):
        parts_of(dataset(person(counts)), by)


@pytest.mark.parametrize("by", SPLITS)
def test_a_person_of_watch_has_every_exercise_on_both_sides_and_one_arm_to_adapt_to(by):
    parts = parts_of(load("watch", hold_out=("3",)), by)
    train, test = parts.person.train, parts.person.test
    assert train.labels.unique().tolist() == test.labels.unique().tolist() == list(range(7))
    assert train.recordings is not None and test.recordings is not None
    common = set(train.recordings.tolist()) & set(test.recordings.tolist())
    if by == "recording":  # 70 recordings of each arm; those of one come first
        assert (common, int(train.recordings.max()) < 70 <= int(test.recordings.min())) == (set(), True)
    else:
        assert len(common) == 14
    assert set(parts.others.groups_in(parts.others.train)) & set(parts.others.groups_in(test)) == set()
