"""Sets of arrays: .npz files and folders of .npy files, and the one line for those that cannot be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sets import message
from waves import save, waves

from blockwise.data import Augment, SignalAugment, load
from blockwise.system.notes import Note
from devices.errors import InputError


@pytest.mark.parametrize("name", ["waves.npz", "waves"])
def test_a_file_and_a_folder_give_the_same_bytes_scaled_by_the_training_samples(
    name: str, tmp_path: Path
) -> None:
    arrays = waves()
    found = load(str(save(tmp_path / name, arrays)))
    assert found.name == "waves" and found.in_shape == (2, 24) and found.classes == ("0", "1", "2")
    assert found.scaling is not None and isinstance(found.policy, SignalAugment) and found.policy.shift == 1
    expected = found.scaling(torch.from_numpy(arrays["x_test"]))
    assert torch.equal(found.test.images, expected) and found.test.labels.tolist() == [*arrays["y_test"]]
    for channel, (low, high) in enumerate(zip(found.scaling.low, found.scaling.high, strict=True)):
        parts = [split.images[:, channel] for split in (found.train, found.validation)]
        assert int(parts[0].min()) == 0 and int(parts[0].max()) == 255
        assert low >= arrays["x_train"][:, channel].min() and high <= arrays["x_train"][:, channel].max()


def test_validation_is_of_other_people_than_training(tmp_path: Path) -> None:
    found = load(str(save(tmp_path / "waves.npz", waves())), validation=0.25, seed=3)
    people = [set(found.groups_in(split)) for split in (found.train, found.validation, found.test)]
    assert [len(group) for group in people] == [6, 2, 2] and len(set.union(*people)) == 10
    assert people[2] == {"8", "9"}


def test_groups_held_out_take_the_place_of_the_test_samples(tmp_path: Path) -> None:
    path = str(save(tmp_path / "waves.npz", waves()))
    found = load(path, hold_out=("0", "9"))
    assert found.groups_in(found.test) == ("0", "9") and len(found.test) == 24
    assert len(found.train) + len(found.validation) + len(found.test) == 120
    with pytest.raises(InputError, match="--hold-out: got '10', wanted one of 0, 1"):
        load(path, hold_out=("10",))
    with pytest.raises(InputError, match="samples have no groups"):
        load("digits", hold_out=("1",))


def test_without_test_samples_some_are_held_out_by_class_or_group_and_it_says_so(tmp_path: Path) -> None:
    arrays = {name: waves()[name] for name in ("x_train", "y_train", "group_train")}
    with pytest.warns(
        Note, match="24 of 96 samples are held out for test, by group: . of|by group: ., . of 8"
    ):
        found = load(str(save(tmp_path / "people.npz", arrays)))
    assert not set(found.groups_in(found.train)) & set(found.groups_in(found.test))
    del arrays["group_train"]
    with pytest.warns(Note, match="no test samples: 18 of 96 samples are held out for test, class by class"):
        found = load(str(save(tmp_path / "plain.npz", arrays)), seed=1)
    again = load(str(tmp_path / "plain.npz"), seed=2)
    assert torch.bincount(found.test.labels).tolist() == [6, 6, 6]
    assert torch.equal(again.test.labels, found.test.labels)


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [
        (np.array([3, 7, 9]), ("3", "7", "9"), "labels 3, 7, 9 become 0 to 2"),
        (np.array([1.0, 2.0, 3.0]), ("1", "2", "3"), "labels 1, 2, 3 become 0 to 2"),
        (np.array(["run", "sit", "walk"]), ("run", "sit", "walk"), ""),
    ],
)
def test_labels_that_are_not_0_to_n_are_mapped_and_it_says_so(
    labels: Any, classes: tuple[str, ...], told: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    arrays = waves()
    plain = load(str(save(tmp_path / "plain.npz", arrays)))
    mapped = arrays | {name: labels[arrays[name]] for name in ("y_train", "y_test")}
    found = load(str(save(tmp_path / "mapped.npz", mapped)))
    assert found.classes == classes and torch.equal(found.train.labels, plain.train.labels)
    assert torch.equal(found.test.labels, plain.test.labels)
    notes = [str(w.message) for w in recwarn if isinstance(w.message, Note)]
    assert len(notes) == bool(told) and all(told in text for text in notes)


def test_bytes_stay_as_they_are_and_images_are_augmented_as_a_folders(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    x, y = draw.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8), np.arange(40) % 2
    found = load(str(save(tmp_path / "a.npz", {"x_train": x, "y_train": y, "x_test": x, "y_test": y})))
    assert found.scaling is None and found.policy == Augment(crop_padding=2, flip=True)
    assert np.array_equal(found.test.images.numpy(), x)


def test_features_are_not_augmented(tmp_path: Path) -> None:
    arrays = {name: x.mean(1) if name[0] == "x" else x for name, x in waves().items()}
    found = load(str(save(tmp_path / "a.npz", arrays)))
    assert found.in_shape == (24,) and not found.augmentable and len(found.mean) == 24


def with_nan(x: Any) -> Any:
    x = x.copy()
    x[17, 1, 5] = np.nan
    return x


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": lambda y: y[:-1]}, "y_train: got 95 for 96 samples of x_train, wanted one for each"),
        ({"group_test": lambda g: g[:-2]}, "group_test: got 22 for 24 samples of x_test"),
        ({"x_train": with_nan}, "x_train: got nan in sample 17, channel 1 at [5], wanted finite numbers"),
        (
            {"x_test": lambda x: x * np.float64(1e300)},
            "in sample 0, channel 0 at [0], wanted finite numbers of 32",
        ),
        ({"y_train": None}, "got no array y_train, wanted x_train and y_train"),
        ({"y_test": None}, "got no array y_test"),
        ({"group_test": None}, "got no array group_test"),
        ({"x_train": lambda x: x[:, 0, 0]}, "x_train: got float32 (96,), wanted numbers (N, F) features"),
        ({"x_train": lambda x: x[..., None, None]}, "x_train: got float32 (96, 2, 24, 1, 1), wanted"),
        ({"x_train": lambda x: x[:0], "group_train": lambda g: g[:0]}, "x_train: got float32 (0, 2, 24)"),
        ({"x_train": lambda x: x.astype("complex64")}, "x_train: got complex64"),
        ({"x_test": lambda x: x[:, :, :9]}, "x_test: got float32 2x9, wanted float32 2x24 as x_train has it"),
        ({"x_train": lambda x: x.reshape(96, 8, 2, 3)}, "x_train: got channels last, (96, 8, 2, 3), wanted"),
        ({"y_train": lambda y: np.eye(3)[y]}, "y_train: got float64 (96, 3), wanted a number or name (N,)"),
        ({"y_train": lambda y: y + 0.5}, "y_train: got fractions"),
        ({"group_train": lambda g: np.where(g == 2, np.nan, g)}, "group_train: got fractions, wanted whole"),
        ({"y_train": lambda y: y * 0}, "y_train: got 1 class, wanted at least two"),
        (
            {"y_test": lambda y: y + 1},
            "y_test: got label 3, which y_train lacks, wanted only labels of y_train",
        ),
        ({"x_train": lambda x: x * 0}, "x_train: got values that all have one value"),
        ({"x_train": lambda x: np.array([*x[:, 0], "odd"], dtype=object)}, "got no arrays of numbers"),
    ],
)
def test_arrays_that_cannot_be_used_get_one_line(changes: Any, words: str, tmp_path: Path) -> None:
    arrays = waves()
    for name, change in changes.items():
        if change is None:
            del arrays[name]
        else:
            arrays[name] = change(arrays[name])
    with pytest.raises(InputError) as raised:
        load(str(save(tmp_path / "odd.npz", arrays)))
    text = message(raised)
    assert text.startswith("data ") and words in text


def test_files_that_are_none_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match=r"got no arrays of numbers \(no archive\)"):
        load(str(tmp_path / "text.npz"))
    with pytest.raises(InputError, match="got No such file or directory"):
        load(str(tmp_path / "gone.npz"))


def test_a_group_on_both_sides_is_told(tmp_path: Path) -> None:
    arrays = waves()
    arrays["group_test"] = arrays["group_test"] - 1
    with pytest.warns(Note, match="1 group stands in both training and test: 7"):
        load(str(save(tmp_path / "a.npz", arrays)))


def test_signals_are_not_resized(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--image-size: got samples of 2x24, wanted square images"):
        load(str(save(tmp_path / "a.npz", waves())), image_size=16)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(str(path))
    return message(caught)


def test_channels_of_one_value_are_told(tmp_path: Path) -> None:
    arrays = waves()
    arrays["x_train"][:, 1] = arrays["x_test"][:, 1] = 3.0
    with pytest.warns(Note, match=r"data flat: channel 1 of 2 \(from 0\) have one value alone"):
        load(str(save(tmp_path / "flat.npz", arrays)))


def test_values_that_are_one_in_32_bits_are_refused_and_such_as_are_not_are_taken(tmp_path: Path) -> None:
    """Seconds since 1970: floats of 32 bits are 128 s apart there."""
    arrays = waves()
    seconds = np.arange(96.0).reshape(-1, 1, 1) + np.zeros((96, 2, 24))
    late = {**arrays, "x_train": 1.7e9 + seconds, "x_test": seconds[:24]}
    told = refused(save(tmp_path / "late.npz", late))
    assert "x_train: got channel 0 from 1700000000.0 to 1700000095.0, wanted 256 levels" in told
    for shifted in (seconds, 1e6 + seconds, 1.7e9 + 1000.0 * seconds, (1_000_000 + seconds).astype(np.int64)):
        load(str(save(tmp_path / "kept.npz", {**arrays, "x_train": shifted, "x_test": shifted[:24]})))


def test_labels_by_number_and_by_name_do_not_go_together(tmp_path: Path) -> None:
    arrays = waves()
    named = {**arrays, "y_test": arrays["y_test"].astype(np.str_)}
    told = refused(save(tmp_path / "named.npz", named))
    assert "y_test: got names, wanted numbers, as y_train has; store both alike" in told


def test_one_sample_of_each_class_leaves_none_to_test_on(tmp_path: Path) -> None:
    few = {"x_train": waves()["x_train"][:2], "y_train": np.array([0, 1])}
    told = refused(save(tmp_path / "few.npz", few))
    assert "got one sample of each class, wanted samples to learn from, and others to test on" in told
