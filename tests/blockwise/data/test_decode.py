"""Pictures become pixels: formats, modes, sizes, turned, transparent and wide ones, in parallel."""

import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pets import Load, fill, picture, refusal
from PIL import ExifTags, Image, ImageOps
from torchvision import transforms  # type: ignore[import-untyped]

from blockwise.data import decode, load
from blockwise.data.pixels import wide_values
from blockwise.system.notes import Note


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
    with pytest.warns(Note, match="from -1000 to 1500, the range of all images in train/, become 0 to"):
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
