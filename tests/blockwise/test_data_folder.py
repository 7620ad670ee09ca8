"""Image folders: formats, modes, sizes, the cache and every way a folder can be wrong."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms  # type: ignore[import-untyped]

from blockwise.data import Dataset, decode, load
from devices.errors import InputError

Load = Callable[..., Dataset]


def picture(mode: str, size: tuple[int, int] = (6, 6), seed: int = 0) -> Image.Image:
    """A random image of the given Pillow mode."""
    draw = np.random.default_rng(seed)
    width, height = size
    if mode == "I;16":
        return Image.fromarray(draw.integers(0, 65536, (height, width)).astype(np.uint16))
    colour = Image.fromarray(draw.integers(0, 256, (height, width, 3)).astype(np.uint8))
    return colour.convert(mode)


def fill(root: Path, mode: str = "RGB", suffix: str = "png", **options: Any) -> Path:
    """Two classes with three training images and one test image each."""
    for split, count in (("train", 3), ("test", 1)):
        for label, name in enumerate(("cat", "dog")):
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                image = picture(mode, seed=10 * i + label + 100 * (split == "test"), **options)
                image.save(folder / f"{i}.{suffix}")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path / "pets")


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """``load`` with a cache of the test's own."""

    def call(path: Path, **options: Any) -> Dataset:
        return load(str(path), cache_dir=tmp_path / "cache", **options)

    return call


def refusal(read: Load, path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(path, **options)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_a_folder_becomes_splits_with_classes_sorted_by_name(root: Path, read: Load) -> None:
    pets = read(root)
    assert pets.name == "pets" and pets.classes == ("cat", "dog")
    assert (len(pets.train), len(pets.validation), len(pets.test)) == (4, 2, 2)
    expected = [np.asarray(Image.open(root / "test" / c / "0.png")) for c in pets.classes]
    assert np.array_equal(pets.test.images.permute(0, 2, 3, 1).numpy(), np.stack(expected))
    assert pets.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("mode", "suffix", "channels"),
    [
        ("RGB", "png", 3),
        ("RGB", "jpg", 3),
        ("RGB", "JPEG", 3),
        ("RGB", "bmp", 3),
        ("RGB", "webp", 3),
        ("RGBA", "png", 3),
        ("P", "png", 3),
        ("P", "gif", 3),
        ("CMYK", "jpg", 3),
        ("L", "png", 1),
        ("L", "jpg", 1),
        ("L", "gif", 1),
        ("1", "png", 1),
        ("LA", "png", 1),
        ("I;16", "png", 1),
        ("I;16", "tiff", 1),
    ],
)
def test_every_format_and_mode_is_read(
    mode: str, suffix: str, channels: int, tmp_path: Path, read: Load
) -> None:
    dataset = read(fill(tmp_path / "set", mode, suffix))
    assert dataset.in_shape == (channels, 6, 6)
    with Image.open(tmp_path / "set" / "test" / "cat" / f"0.{suffix}") as image:
        wide = "LA" if channels == 1 else "RGBA"
        expected = np.asarray(image.convert(wide))[..., :channels]
        if mode == "I;16":
            expected = (np.asarray(image) // 256)[..., None]
    assert np.array_equal(dataset.test.images[0].permute(1, 2, 0).numpy(), expected)


def test_one_colour_image_makes_the_whole_set_colour(tmp_path: Path, read: Load) -> None:
    folder = fill(tmp_path / "set", "L")
    assert read(folder).in_shape == (1, 6, 6)
    picture("RGB").save(folder / "test" / "dog" / "colour.png")
    dataset = read(folder)
    assert dataset.in_shape == (3, 6, 6)
    grey = dataset.test.images[0]
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[0], grey[2])


def test_a_palette_of_greys_counts_as_grey(tmp_path: Path, read: Load) -> None:
    folder = tmp_path / "set"
    fill(folder, "L")
    for file in folder.rglob("*.png"):
        image = Image.open(file)
        image.putpalette([level for i in range(256) for level in [255 - i] * 3])
        image.save(file)
    assert Image.open(file).mode == "P"
    assert read(folder).in_shape == (1, 6, 6)


@pytest.mark.parametrize("size", [(9, 5), (5, 9), (40, 31), (8, 8), (3, 2)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_resizing_equals_torchvisions_resize_and_centre_crop(
    size: tuple[int, int], mode: str, tmp_path: Path, read: Load
) -> None:
    folder = fill(tmp_path / "set", mode, size=size)
    dataset = read(folder, image_size=8)
    reference = transforms.Compose([transforms.Resize(8), transforms.CenterCrop(8)])
    expected = np.asarray(reference(Image.open(folder / "test" / "cat" / "0.png")))
    assert np.array_equal(dataset.test.images[0].permute(1, 2, 0).numpy(), expected.reshape(8, 8, -1))


def test_images_of_one_size_keep_it_even_if_it_is_not_square(tmp_path: Path, read: Load) -> None:
    assert read(fill(tmp_path / "set", size=(9, 5))).in_shape == (3, 5, 9)


def test_images_of_two_sizes_need_an_image_size(root: Path, read: Load) -> None:
    odd = root / "train" / "dog" / "odd.png"
    picture("RGB", (7, 6)).save(odd)
    text = refusal(read, root)
    assert str(odd) in text and str(root / "train" / "cat" / "0.png") in text
    assert "7x6" in text and "6x6" in text and "--image-size" in text
    assert read(root, image_size=6).in_shape == (3, 6, 6)


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


# --- what is refused


def test_a_missing_folder_is_refused(tmp_path: Path, read: Load) -> None:
    assert "no such folder" in refusal(read, tmp_path / "nowhere")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, read: Load) -> None:
    (tmp_path / "file").write_text("")
    assert "no folder" in refusal(read, tmp_path / "file")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_folder_without_train_or_test_is_refused(split: str, root: Path, read: Load) -> None:
    (root / split).rename(root / "other")
    assert str(root / split) in refusal(read, root)


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


# --- the cache


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to make every later decoding fail."""

    def refuse(*_: object) -> None:
        raise AssertionError("decoded although it was cached")

    return lambda: monkeypatch.setattr(decode, "decode", refuse)


def test_the_second_load_comes_from_the_cache(
    root: Path, read: Load, no_decoding: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(root)
    no_decoding()
    monkeypatch.chdir(root.parent)
    for spelling in (root, Path("pets/../pets")):
        second = read(spelling)
        assert torch.equal(first.train.images, second.train.images)
        assert torch.equal(first.test.labels, second.test.labels)
    with pytest.raises(AssertionError):
        read(root, image_size=4)


def rewrite(root: Path) -> None:
    picture("RGB", seed=77).save(root / "test" / "cat" / "0.png")


def add(root: Path) -> None:
    picture("RGB", seed=77).save(root / "test" / "cat" / "00.png")


def rename(root: Path) -> None:
    (root / "test" / "cat" / "0.png").rename(root / "test" / "cat" / "9.png")


def touch(root: Path) -> None:
    os.utime(root / "test" / "cat" / "0.png", ns=(1, 1))


@pytest.mark.parametrize("change", [rewrite, add, rename, touch])
def test_a_changed_folder_is_decoded_again(
    change: Callable[[Path], None], root: Path, read: Load, no_decoding: Callable[[], None]
) -> None:
    read(root)
    change(root)
    changed = read(root)
    expected = [np.asarray(Image.open(file)) for file in sorted((root / "test").rglob("*.png"))]
    assert np.array_equal(changed.test.images.permute(0, 2, 3, 1).numpy(), np.stack(expected))
    no_decoding()
    read(root)


@pytest.mark.parametrize("damage", ["empty", "half", "garbage", "one byte"])
def test_a_damaged_cache_is_made_anew(damage: str, root: Path, tmp_path: Path, read: Load) -> None:
    first = read(root)
    (file,) = (tmp_path / "cache").rglob("*.npz")
    content = bytearray(file.read_bytes())
    at = content.index(first.test.images.numpy().tobytes())
    content[at] ^= 1
    ways: dict[str, bytes | bytearray] = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "garbage": b"garbage" * 100,
        "one byte": content,
    }
    file.write_bytes(ways[damage])
    assert torch.equal(read(root).test.images, first.test.images)
    assert file.stat().st_size == len(content)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("step", ["numpy.savez", "os.replace"])
def test_a_failure_while_writing_leaves_no_file(
    failure: type[BaseException], step: str, root: Path, tmp_path: Path, read: Load
) -> None:
    def fail(target: Any, *_: object, **__: object) -> None:
        if step == "numpy.savez":
            target.write(b"half of a")
        raise failure

    with pytest.MonkeyPatch.context() as patch, pytest.raises(failure):
        patch.setattr(step, fail)
        read(root)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert len(read(root).test) == 2


def test_a_cache_that_cannot_be_written_is_only_a_warning(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="not written"):
        assert len(load(str(root), cache_dir=tmp_path / "file").test) == 2


def test_abandoned_temporary_files_are_removed_and_fresh_ones_left(
    root: Path, tmp_path: Path, read: Load
) -> None:
    folder = tmp_path / "cache" / "folders"
    folder.mkdir(parents=True)
    old, fresh = folder / "old.tmp", folder / "fresh.tmp"
    old.touch()
    fresh.touch()
    os.utime(old, (1, 1))
    read(root)
    assert not old.exists() and fresh.exists()


# --- decoding in parallel


def test_progress_counts_up_to_all_images(root: Path, read: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "CHUNK", 3)
    seen: list[tuple[int, int]] = []
    read(root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 8), (6, 8), (8, 8)]


def test_nothing_is_printed_when_standard_error_is_no_terminal(
    root: Path, read: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    read(root)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_decoding_in_parallel_equals_decoding_in_turn(
    platform: str, root: Path, tmp_path: Path, read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = read(root)
    monkeypatch.setattr(decode, "PARALLEL_FROM", 1)
    monkeypatch.setattr(decode, "CHUNK", 2)
    monkeypatch.setattr("sys.platform", platform)
    together = load(str(root), cache_dir=tmp_path / "other")
    assert torch.equal(alone.train.images, together.train.images)
    assert torch.equal(alone.test.images, together.test.images)


def test_a_broken_image_is_named_by_a_worker_process_too(
    root: Path, read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "PARALLEL_FROM", 1)
    monkeypatch.setattr(decode, "CHUNK", 1)
    broken = root / "train" / "dog" / "1.png"
    broken.write_bytes(b"garbage")
    assert str(broken) in refusal(read, root)
