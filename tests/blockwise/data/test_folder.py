"""Image folders: their splits and classes, where images lie, and every way that one can be wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from pets import Load, fill, picture, refusal
from PIL import Image

from blockwise.system.notes import Note


def test_a_folder_becomes_splits_with_classes_sorted_by_name(root: Path, read: Load) -> None:
    pets = read(root)
    assert pets.name == "pets" and pets.classes == ("cat", "dog")
    assert (len(pets.train), len(pets.validation), len(pets.test)) == (4, 2, 2)
    expected = [np.asarray(Image.open(root / "test" / c / "0.png")) for c in pets.classes]
    assert np.array_equal(pets.test.images.permute(0, 2, 3, 1).numpy(), np.stack(expected))
    assert pets.test.labels.tolist() == [0, 1]


def test_hidden_files_and_other_files_are_ignored(root: Path, read: Load) -> None:
    for name in (".DS_Store", "._0.png", "notes.txt", "table.pdf"):
        (root / "train" / "cat" / name).write_bytes(b"not an image")
    (root / "train" / ".checkpoints").mkdir()
    (root / "train" / "README.md").write_text("about")
    (root / "train" / "cat" / "folder.png").mkdir()
    dataset = read(root)
    assert len(dataset.train) + len(dataset.validation) == 6


def test_a_class_without_test_images_is_allowed(root: Path, read: Load) -> None:
    (root / "test" / "cat" / "0.png").unlink()
    assert read(root).test.labels.tolist() == [1]
    (root / "test" / "cat").rmdir()
    assert read(root).test.labels.tolist() == [1]


def test_images_in_folders_of_a_class_belong_to_it_in_the_order_of_their_paths(
    root: Path, read: Load
) -> None:
    flat = read(root)
    for name in ("cat", "dog"):
        (root / "train" / name / "1").mkdir()
        (root / "train" / name / "1" / "deep").mkdir()
        (root / "train" / name / "1.png").rename(root / "train" / name / "1" / "deep" / "any.PNG")
        (root / "train" / name / "2.png").rename(root / "train" / name / "1" / "last.png")
        (root / "train" / name / "1" / "back").symlink_to("..")
        (root / "train" / name / "1" / ".thumbs").mkdir()
        picture("L").save(root / "train" / name / "1" / ".thumbs" / "0.png")
    deep = read(root)
    assert torch.equal(deep.train.images, flat.train.images)
    assert torch.equal(deep.validation.labels, flat.validation.labels)


def test_images_in_a_linked_folder_are_found(root: Path, tmp_path: Path, read: Load) -> None:
    (root / "test" / "cat").rename(tmp_path / "elsewhere")
    (root / "test" / "cat").mkdir()
    (root / "test" / "cat" / "link").symlink_to(tmp_path / "elsewhere")
    assert read(root).test.labels.tolist() == [0, 1]


def test_names_that_are_not_utf_8_are_read_and_named_by_text(tmp_path: Path, read: Load) -> None:
    folder = fill(tmp_path / os.fsdecode(b"caf\xe9"))
    (folder / "train" / "cat" / "0.png").rename(folder / "train" / "cat" / os.fsdecode(b"\xff.png"))
    for split in ("train", "test"):
        (folder / split / "dog").rename(folder / split / os.fsdecode(b"d\xf6g"))
    dataset = read(folder)
    assert (dataset.name, dataset.classes) == ("caf\\xe9", ("cat", "d\\xf6g"))
    assert len(dataset.train) + len(dataset.validation) == 6


@pytest.mark.parametrize("value", [0, 77])
def test_training_images_that_are_all_alike_are_refused(value: int, root: Path, read: Load) -> None:
    for file in (root / "train").rglob("*.png"):
        Image.new("L", (6, 6), value).save(file)
    assert "got pixels that all have one value, wanted images that differ" in refusal(read, root)
    for file in (root / "train").rglob("*.png"):
        picture("RGB").save(file)
    assert "got images that are all alike" in refusal(read, root)


def test_a_folder_that_may_not_be_read_is_refused(
    root: Path, read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", closed)
    assert f"image folder {root / 'train'}: got Permission denied" in refusal(read, root)


def test_a_missing_folder_is_refused(tmp_path: Path, read: Load) -> None:
    assert "no such folder" in refusal(read, tmp_path / "nowhere")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, read: Load) -> None:
    (tmp_path / "file").write_text("")
    told = refusal(read, tmp_path / "file")
    assert "no folder" in told and "or a file of arrays, NAME.npz" in told


def test_a_folder_without_train_is_refused(root: Path, read: Load) -> None:
    (root / "train").rename(root / "other")
    assert str(root / "train") in refusal(read, root)


def test_a_file_in_place_of_test_is_refused(root: Path, read: Load) -> None:
    (root / "test").rename(root / "other")
    (root / "test").write_text("")
    assert f"image folder {root / 'test'}: got something that is no folder" in refusal(read, root)


def test_without_test_images_some_of_each_class_are_held_out_and_it_says_so(root: Path, read: Load) -> None:
    (root / "test").rename(root / "other")
    for name in ("cat", "dog"):
        for i in range(3, 10):
            picture("RGB", seed=200 + i).save(root / "train" / name / f"{i}.png")
    with pytest.warns(
        Note, match="data pets: no test samples: 4 of 20 samples are held out for test, class by"
    ):
        pets = read(root)
    assert torch.bincount(pets.test.labels).tolist() == [2, 2] and pets.test.groups is None
    again = read(root, seed=5)
    assert torch.equal(again.test.images, pets.test.images)


def test_without_test_images_whole_folders_within_the_classes_are_held_out(root: Path, read: Load) -> None:
    (root / "test").rename(root / "other")
    for kind, name in enumerate(("cat", "dog")):
        for i in range(3):
            (root / "train" / name / f"{i}.png").unlink()
        for place in ("barn", "home", "street", "yard", "zoo"):
            (root / "train" / name / place).mkdir()
            for i in range(4):
                picture("RGB", seed=4 * len(place) + i + 100 * kind).save(
                    root / "train" / name / place / f"{i}.png"
                )
    with pytest.warns(Note, match=r"8 of 40 samples are held out for test, by group: \w+ of 5 groups"):
        pets = read(root)
    places = [set(pets.groups_in(split)) for split in (pets.train, pets.validation, pets.test)]
    assert [len(names) for names in places] == [3, 1, 1] and len(set.union(*places)) == 5
    assert (len(pets.test), len(pets.validation)) == (8, 8)


def test_folders_that_are_those_of_one_class_each_hold_out_none(root: Path, read: Load) -> None:
    (root / "test").rename(root / "other")
    for name in ("cat", "dog"):
        (root / "train" / name / "images").mkdir()
        for i in range(3):
            (root / "train" / name / f"{i}.png").rename(root / "train" / name / "images" / f"{i}.png")
    with pytest.warns(Note, match="class by class"):
        assert read(root).groups == ()


def test_a_train_folder_without_classes_is_refused(root: Path, read: Load) -> None:
    (root / "train").rename(root / "other")
    (root / "train").mkdir()
    assert "two class folders" in refusal(read, root)


def test_one_class_alone_is_refused(root: Path, read: Load) -> None:
    for split in ("train", "test"):
        (root / split / "dog").rename(root / f"{split}-dog")
    assert "one class, 'cat'" in refusal(read, root)


def test_a_training_class_without_images_is_refused(root: Path, read: Load) -> None:
    (root / "train" / "empty").mkdir()
    text = refusal(read, root)
    assert str(root / "train" / "empty") in text and "no images" in text


def test_a_test_folder_without_images_is_refused(root: Path, read: Load) -> None:
    for file in (root / "test").rglob("*.png"):
        file.unlink()
    assert "no images" in refusal(read, root)


def test_a_test_class_that_train_lacks_is_refused(root: Path, read: Load) -> None:
    (root / "test" / "fox").mkdir()
    assert "'fox', which train lacks" in refusal(read, root)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tiff", "bmp"])
@pytest.mark.parametrize("kept", [0, 10, 0.5])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_truncated_image_is_named(suffix: str, kept: float, tmp_path: Path, read: Load) -> None:
    folder = fill(tmp_path / "set", suffix=suffix, size=(40, 40))
    broken = folder / "train" / "dog" / f"1.{suffix}"
    content = broken.read_bytes()
    broken.write_bytes(content[: int(len(content) * kept) if kept < 1 else int(kept)])
    text = refusal(read, folder)
    assert text.startswith(f"image {broken}:") and "replace or remove" in text
    assert not list((tmp_path / "cache").rglob("*.npz"))


def test_a_broken_first_image_is_named_whether_or_not_sizes_are_given(root: Path, read: Load) -> None:
    first = root / "train" / "cat" / "0.png"
    first.write_bytes(b"garbage")
    assert str(first) in refusal(read, root)
    assert str(first) in refusal(read, root, image_size=8)
