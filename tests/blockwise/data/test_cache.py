"""Decoded folders are kept, and never used for another folder."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from pets import Load, picture
from PIL import Image

from blockwise.data import cache, decode, folder, load


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
