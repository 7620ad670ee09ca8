"""Image folders: formats, modes, sizes, the cache and every way a folder can be wrong."""

import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from PIL import ExifTags, Image, ImageOps
from torchvision import transforms  # type: ignore[import-untyped]

from blockwise.data import Dataset, cache, decode, folder, load
from blockwise.data.pixels import wide_values
from blockwise.system.notes import Note
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


# --- turned, transparent and wide images


def turned(root: Path, orientation: int, suffix: str = "png") -> Path:
    """The same pictures in another format, with an EXIF orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    for file in list(root.rglob("*.png")):
        image = Image.open(file)
        file.unlink()
        image.save(file.with_suffix(f".{suffix}"), exif=exif)
    return root


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_images_stand_as_their_exif_orientation_says(
    orientation: int, suffix: str, tmp_path: Path, read: Load
) -> None:
    folder = turned(fill(tmp_path / "set", size=(9, 5)), orientation, suffix)
    dataset = read(folder)
    assert dataset.in_shape == ((3, 9, 5) if orientation >= 5 else (3, 5, 9))
    expected = [
        np.asarray(ImageOps.exif_transpose(Image.open(folder / "test" / name / f"0.{suffix}")))
        for name in ("cat", "dog")
    ]
    assert np.array_equal(dataset.test.images.permute(0, 2, 3, 1).numpy(), np.stack(expected))
    (folder / "test" / "dog" / f"0.{suffix}").unlink()
    picture("RGB", (9, 5) if orientation < 5 else (5, 9)).save(folder / "test" / "dog" / "upright.png")
    assert read(folder).in_shape == dataset.in_shape


def test_orientation_6_puts_the_first_row_on_the_right_and_the_first_column_on_top(
    tmp_path: Path, read: Load
) -> None:
    folder = turned(fill(tmp_path / "set", "L", size=(3, 2)), 6)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    rows = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    Image.fromarray(rows).save(folder / "test" / "cat" / "0.png", exif=exif)
    assert read(folder).test.images[0, 0].tolist() == [[4, 1], [5, 2], [6, 3]]
    assert read(folder, image_size=2).in_shape == (1, 2, 2)


def test_damaged_exif_data_leave_the_image_as_it_is(root: Path, read: Load) -> None:
    file = root / "train" / "cat" / "0.png"
    image = Image.open(file)
    image.save(file.with_suffix(".jpg"), exif=b"Exif\0\0MM*\0garbage")
    file.unlink()
    assert read(root).in_shape == (3, 6, 6)


@pytest.mark.parametrize(
    ("mode", "colour", "options", "expected"),
    [
        ("RGBA", (200, 100, 50, 51), {}, (40, 20, 10)),
        ("LA", (200, 51), {}, (40,)),
        ("RGB", (1, 2, 3), {"transparency": (1, 2, 3)}, (0, 0, 0)),
        ("L", 7, {"transparency": 7}, (0,)),
    ],
)
def test_transparency_lies_on_black_and_is_told_once(
    mode: str, colour: Any, options: Any, expected: tuple[int, ...], root: Path, read: Load
) -> None:
    grey = len(expected) == 1
    fill(root, "L" if grey else "RGB")
    file = root / "test" / "cat" / "0.png"
    Image.new(mode, (6, 6), colour).save(file, **options)
    words = rf"data {root}: 1 of 8 images are transparent in places; they are laid on black"
    for _ in range(2):  # decoded, then from the cache
        with pytest.warns(Note, match=words) as told:
            dataset = read(root)
        assert len(told) == 1
        assert dataset.test.images[0, :, 2, 3].tolist() == list(expected)


def test_an_opaque_alpha_channel_is_not_worth_a_word(tmp_path: Path, read: Load) -> None:
    with warnings.catch_warnings(action="error"):
        read(fill(tmp_path / "set", "RGBA"))


def wide(root: Path, values: Callable[[int], Any]) -> Path:
    """Two classes with TIFF files of one row of values each; ``values`` of 0 to 5 train, 6 and 7 test."""
    number = 0
    for split, count in (("train", 3), ("test", 1)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                Image.fromarray(values(number)[None]).save(root / split / name / f"{i}.tiff")
                number += 1
    return root


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_wide_values_are_scaled_by_the_range_of_the_training_images(
    kind: type, tmp_path: Path, read: Load
) -> None:
    folder = wide(tmp_path / "set", lambda n: np.array([-1000 + 500 * n, 0], kind))  # -1000 to 1500
    with pytest.warns(Note, match="values from -1000 to 1500, the range of the training images, become 0 to"):
        dataset = read(folder)
    assert dataset.in_shape == (1, 1, 2)
    assert dataset.test.images[:, 0, 0].tolist() == [[255, 102], [255, 102]]  # 2000, 2500; 0 is at 0.4
    trained = torch.cat([dataset.train.images, dataset.validation.images])[:, 0, 0]
    assert sorted(trained[:, 0].tolist()) == [0, 51, 102, 153, 204, 255]


def test_unsigned_integers_of_32_bits_stay_above_zero(tmp_path: Path) -> None:
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    tags = [(256, 3), (257, 1), (258, 32), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 12)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in [*tags, (339, 1)])
    start = b"II*\0" + struct.pack("<I", 8 + values.nbytes)
    file = tmp_path / "u32.tiff"
    file.write_bytes(start + values.tobytes() + struct.pack("<H", 10) + directory + bytes(4))
    with Image.open(file) as image:
        assert wide_values(image).tolist() == [[0, 2**31, 2**32 - 1]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(value: float, tmp_path: Path, read: Load) -> None:
    folder = wide(tmp_path / "set", lambda n: np.array([n, value if n == 4 else 0], np.float32))
    text = refusal(read, folder)
    assert f"{folder / 'train' / 'dog' / '1.tiff'}: got a damaged" in text and "no numbers" in text


def test_wide_and_narrow_values_are_not_mixed(root: Path, read: Load) -> None:
    odd = root / "train" / "dog" / "odd.tiff"
    Image.fromarray(np.zeros((6, 6), np.float32)).save(odd)
    assert f"{odd}: got floats or integers of more than 16 bits, wanted values of 8" in refusal(read, root)
    (root / "train" / "cat" / "0.png").unlink()
    odd.rename(root / "train" / "cat" / "0.tiff")
    assert "got values of 8 or 16 bits, wanted floats or integers of more than 16" in refusal(read, root)


def test_an_image_of_more_pixels_than_pillow_likes_is_read_without_a_word(
    root: Path, read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with warnings.catch_warnings(action="error"):
        assert read(root).in_shape == (3, 6, 6)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    os.utime(root / "test" / "cat" / "0.png", ns=(1, 1))
    assert "got too many pixels, wanted at most 20; scale it down" in refusal(read, root)


# --- where images lie


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


# --- what is refused


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
    for spelling in (root, Path("pets/../pets"), Path("pets"), Path()):
        if spelling == Path():
            monkeypatch.chdir(root)
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


def test_a_picture_of_equal_size_and_time_is_not_taken_for_the_old_one(root: Path, read: Load) -> None:
    file = root / "test" / "cat" / "0.png"
    file.write_bytes(file.read_bytes() + bytes(99))  # PNG ends before
    first = read(root).test.images[0]
    status = file.stat()
    for change in ("written", "replaced"):
        new = root.parent / "new.png"
        picture("RGB", seed=len(change)).save(new)
        padded = new.read_bytes()
        padded += bytes(status.st_size - len(padded))
        if change == "written":
            file.write_bytes(padded)
        else:
            new.write_bytes(padded)
            os.replace(new, file)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        again = read(root).test.images[0]
        assert not torch.equal(again, first)
        first = again


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    root: Path, read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = folder.decode_all

    def decode_all(*arguments: Any) -> Any:
        found = whole(*arguments)
        picture("RGB", seed=5).save(root / "test" / "cat" / "0.png")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(folder, "decode_all", decode_all)
        read(root)
    expected = np.asarray(picture("RGB", seed=5))
    assert np.array_equal(read(root).test.images[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("version", ["LAYOUT_VERSION", "Pillow"])
def test_what_another_version_decoded_is_not_used(
    version: str, root: Path, read: Load, no_decoding: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(root)
    if version == "Pillow":
        monkeypatch.setattr(PIL, "__version__", "0")
    else:
        monkeypatch.setattr(cache, "LAYOUT_VERSION", 1)
    no_decoding()
    with pytest.raises(AssertionError):
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
