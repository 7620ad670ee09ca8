"""Sets and their sources: splits, digits, names that do not exist, and where the cache is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sets import message, pixels

from blockwise.data import (
    SOURCES,
    Augment,
    Dataset,
    Split,
    channel_moments,
    check_batch_size,
    load,
    split_validation,
)
from blockwise.data.cache import default_cache_dir
from blockwise.data.policies import folder_augment
from blockwise.data.sources import _bundled_digits
from blockwise.system.notes import Note
from devices.errors import InputError


def test_a_split_refuses_other_types_and_shapes() -> None:
    with pytest.raises(ValueError, match="images"):
        Split(torch.zeros(2, 1, 3, 3), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="labels"):
        Split(pixels(2, 1, 3, 3), torch.zeros(3, dtype=torch.int64))


def test_the_validation_split_is_stratified_disjoint_and_whole() -> None:
    labels = torch.tensor([0] * 100 + [1] * 40 + [2] * 3 + [3])
    marks = torch.arange(len(labels)).to(torch.uint8).view(-1, 1, 1, 1)
    train, validation = split_validation(marks, labels, 0.1, seed=4)
    assert torch.bincount(validation.labels, minlength=4).tolist() == [10, 4, 1, 0]
    seen = train.images.flatten().tolist() + validation.images.flatten().tolist()
    assert sorted(seen) == list(range(len(labels)))
    for part in (train, validation):
        assert torch.equal(part.labels, labels[part.images.flatten().long()])


def test_the_validation_split_depends_on_the_seed_alone() -> None:
    images, labels = pixels(200, 1, 2, 2), torch.arange(200) % 4
    first, again, other = (split_validation(images, labels, seed=s)[1] for s in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_validation_fraction_outside_0_to_1_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="validation fraction"):
        split_validation(pixels(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64), fraction, seed=0)


def test_channel_moments_equal_numpys() -> None:
    images = pixels(50, 3, 5, 7)
    mean, std = channel_moments(images)
    scaled = images.numpy() / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), rtol=1e-12)


def test_batch_sizes_must_fit_the_training_split() -> None:
    split = Split(pixels(6, 1, 2, 2), torch.arange(6) % 2)
    dataset = Dataset("tiny", ("a", "b"), split, split, split)
    check_batch_size(1, dataset)
    check_batch_size(6, dataset)
    for wrong in (0, -3, 7):
        with pytest.raises(InputError, match="batch size") as raised:
            check_batch_size(wrong, dataset)
        assert "1 to 6" in message(raised) and "tiny" in message(raised)


def test_digits_are_8x8_grey_scaled_to_full_range_without_augmentation() -> None:
    digits = load("digits")
    assert digits.in_shape == (1, 8, 8)
    assert digits.classes == tuple("0123456789")
    assert int(digits.train.images.max()) == 255 and int(digits.train.images.min()) == 0
    assert not digits.augmentable
    assert len(digits.train) + len(digits.validation) + len(digits.test) == 1797


def test_digits_read_from_the_packages_file_are_those_that_scikit_learn_gives() -> None:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    found, theirs = _bundled_digits(), load_digits()
    assert np.array_equal(found[0], theirs.data) and np.array_equal(found[1], theirs.target)


def test_the_test_digits_are_the_same_for_every_seed_but_validation_is_not() -> None:
    one, two = load("digits", seed=1), load("digits", seed=2)
    assert torch.equal(one.test.images, two.test.images)
    assert torch.equal(one.test.labels, two.test.labels)
    assert not torch.equal(one.validation.images, two.validation.images)
    share = torch.bincount(one.test.labels) / 1797
    assert bool(((share > 0.018) & (share < 0.022)).all())


def test_normalised_training_digits_have_zero_mean_and_unit_variance() -> None:
    digits = load("digits")
    values = digits.normalize(digits.train.images)
    assert abs(float(values.mean())) < 1e-4
    assert abs(float(values.std()) - 1) < 1e-3


def test_an_image_size_resizes_a_named_set() -> None:
    assert load("digits", image_size=12).in_shape == (1, 12, 12)
    with pytest.raises(InputError, match="image size"):
        load("digits", image_size=0)


def test_an_unknown_name_gets_the_nearest_match_and_the_folder_way() -> None:
    with pytest.raises(InputError) as raised:
        load("cifar-10")
    text = message(raised)
    assert "did you mean 'cifar10'?" in text and "path of an image folder" in text
    assert all(name in text for name in SOURCES)


@pytest.mark.parametrize("path", ["./nowhere", "/no/such/folder", "~nobody/set", "a/" * 3000])
def test_a_path_that_does_not_exist_is_called_a_missing_folder(path: str) -> None:
    with pytest.raises(InputError, match="no such folder") as raised:
        load(path)
    message(raised)


def test_a_very_long_unknown_name_is_still_one_line() -> None:
    with pytest.raises(InputError, match="data set") as raised:
        load("x" * 5000)
    message(raised)


def test_default_augmentation_of_folders_follows_colour_and_size() -> None:
    assert folder_augment(pixels(1, 3, 24, 30)) == Augment(crop_padding=4, flip=True)
    assert folder_augment(pixels(1, 3, 16, 30)) == Augment(crop_padding=2, flip=True)
    assert folder_augment(pixels(1, 1, 28, 28)) == Augment(crop_padding=2)
    assert folder_augment(pixels(1, 3, 5, 30)) == Augment(crop_padding=1, flip=True)
    assert folder_augment(pixels(1, 1, 32, 1)) == Augment()  # a column of pixels has no border to lose


def test_the_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "blockwise"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "blockwise"


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id without HOME and without an entry in the password database, as in many containers."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])


@pytest.mark.usefixtures("no_home")
def test_bundled_digits_need_no_home_folder() -> None:
    assert default_cache_dir() is None
    assert len(load("digits").test) == 359


@pytest.mark.usefixtures("no_home")
def test_without_a_home_folder_named_sets_say_what_they_need_and_folders_are_decoded(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        load("mnist")
    assert "got a user without a home folder" in message(raised) and "XDG_CACHE_HOME" in message(raised)
    for place in ("train/a", "train/b", "test/a"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("L", (4, 4), len(place) + ord(place[-1])).save(tmp_path / place / "0.png")
    with pytest.warns(Note, match="no home folder: images are decoded again each time"):
        assert len(load(str(tmp_path)).test) == 1


def test_a_cache_folder_that_is_relative_is_ignored_as_its_specification_demands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert default_cache_dir() == Path.home() / ".cache" / "blockwise"
