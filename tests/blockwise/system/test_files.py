"""What a failing disk, an odd place or an odd name does to a file that is written."""

import errno
import json
import os
import pickle
import threading

import pytest

from blockwise.system.files import WriteError, atomic_write, check_file, make_folder
from devices.errors import InputError


def failing(number: int):
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number), "/somewhere/.temporary.tmp")

    return fail


def test_a_full_disk_names_the_users_file_and_the_bytes_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(WriteError) as raised:
        atomic_write(tmp_path / "w.bin", b"1234")
    assert str(raised.value) == (
        f"{tmp_path}/w.bin: got No space left on device, wanted room for 4 bytes; free some, then try again"
    )
    assert raised.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named_without_the_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", failing(errno.EACCES))
    with pytest.raises(WriteError) as raised:
        atomic_write(tmp_path / "w.bin", b"1234")
    assert str(raised.value) == (
        f"{tmp_path}/w.bin: got Permission denied, wanted a file that can be written; "
        "make it writable, then try again"
    )


def test_the_error_says_what_else_gets_the_work_done_and_leaves_a_worker_whole():
    error = WriteError("r.json", OSError(errno.ENOSPC, "full"), 9)
    assert str(error.before("go on with --resume r")).endswith("free some, then go on with --resume r")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("place", ["missing/file", "file/below", "folder", "n" * 300])
def test_no_place_for_a_file_is_an_error_in_one_line_with_its_own_name(place, tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WriteError, match=place):
        atomic_write(tmp_path / place, b"new")
    with pytest.raises(InputError, match=f"--out {tmp_path / place}: got "):
        check_file(tmp_path / place, "--out")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_as_long_as_the_file_system_allows_is_written(tmp_path):
    for name in ("n" * 255, "名" * 85):
        check_file(tmp_path / name, "--out")
        atomic_write(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new"


def test_a_pipe_is_written_to_and_a_link_followed_instead_of_replaced(tmp_path):
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    link.symlink_to(file)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    check_file(pipe, "--out")
    atomic_write(pipe, b"piped")
    reader.join()
    atomic_write(link, b"linked")
    assert found == [b"piped"] and pipe.is_fifo()
    assert link.is_symlink() and file.read_bytes() == b"linked"


def test_a_folder_that_cannot_be_written_is_refused_before_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .*/file: got File exists, wanted a folder"):
        make_folder(tmp_path / "file", "--out")
    monkeypatch.setattr("builtins.open", failing(errno.EROFS))
    with pytest.raises(InputError, match=f"--out {tmp_path}: got Read-only file system"):
        make_folder(tmp_path, "--out")


def test_names_that_are_not_utf_8_come_back_from_json_as_they_were(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xff")
    atomic_write(tmp_path / "r.json", json.dumps({"data": name, "ü": 1}, ensure_ascii=False))
    written = (tmp_path / "r.json").read_bytes()
    assert b"\\udce9" in written and "ü".encode() in written
    assert json.loads(written)["data"] == name
