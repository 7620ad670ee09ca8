"""The recordings of ``watch``: what they are, and that no recording and nobody is on two sides of a split."""

from itertools import combinations

import numpy as np
import pytest
import torch

from blockwise.data import Dataset, load, watch
from devices.errors import InputError

pytest.importorskip(watch.PACKAGE)


@pytest.fixture(scope="module")
def found() -> Dataset:
    return load("watch")


def test_every_person_does_every_exercise_with_either_arm_once() -> None:
    recordings = watch._recordings()
    kinds = list(zip(recordings["subject"], recordings["y"], recordings["side"], strict=True))
    assert len(kinds) == len(set(kinds)) == 10 * 7 * 2
    assert all(np.isfinite(x).all() for x in recordings["X"])
    seconds = [len(x) / 50 for x in recordings["X"]]
    assert (round(min(seconds), 1), round(max(seconds), 1), round(sum(seconds) / 60)) == (18.9, 52.4, 81)


def test_windows_are_whole_overlap_by_half_and_stay_in_order() -> None:
    recording = np.arange(520 * 6, dtype=np.float64).reshape(520, 6)
    found = watch.windows(recording)
    assert found.shape == (4, 6, 200)
    for number, start in enumerate((0, 100, 200, 300)):
        np.testing.assert_array_equal(found[number], recording[start : start + 200].T)


def test_the_set_has_its_people_apart(found: Dataset) -> None:
    assert found.in_shape == (6, 200) and found.classes == ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
    people = [set(found.groups_in(split)) for split in (found.train, found.validation, found.test)]
    assert [len(group) for group in people] == [6, 2, 2] and people[2] == {"9", "10"}
    assert not any(one & two for one, two in combinations(people, 2))
    for split in (found.train, found.validation, found.test):
        assert int(torch.bincount(split.labels, minlength=7).min()) > 0


def test_no_recording_is_on_two_sides_of_a_split() -> None:
    """By content: a window is looked up in the recordings, which share none."""
    recordings = watch._recordings()["X"]
    owner = {window.tobytes(): i for i, x in enumerate(recordings) for window in watch.windows(x)}
    raw = watch.read_watch(None, False)
    assert raw.test is not None
    assert len(owner) == len(raw.train) + len(raw.test)
    sides = [{owner[window.numpy().tobytes()] for window in part.images} for part in (raw.train, raw.test)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 140 and len(sides[1]) == 28


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_validation_is_of_whole_people_drawn_by_the_seed(seed: int, found: Dataset) -> None:
    other = load("watch", seed=seed)
    assert len(other.groups_in(other.validation)) == 2 and torch.equal(other.test.labels, found.test.labels)
    one = load("watch", seed=seed, validation=0.1)
    assert len(one.groups_in(one.validation)) == 1


def test_anybody_can_be_held_out(found: Dataset) -> None:
    other = load("watch", hold_out=("3",))
    assert other.groups_in(other.test) == ("3",)
    assert len(other.groups_in(other.train) + other.groups_in(other.validation)) == 9
    assert other.scaling != found.scaling  # of those who are trained on


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"data set watch: got no package seglearn, .*\.\[signals\]"):
        load("watch")


def test_without_augmentation_samples_stay_as_they_are():
    assert load("watch").augmentable and not load("watch", augment="none").augmentable
