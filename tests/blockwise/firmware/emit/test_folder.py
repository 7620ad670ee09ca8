"""A project's folder: replaced only where nothing in it is anyone else's, and whole at any moment."""

from pathlib import Path

import pytest

from blockwise.firmware.emit.folder import MANIFEST, check_folder, write_folder
from blockwise.system.files import WriteError
from devices.errors import InputError

CONTENT = {"main.c": "int main;", "step.c": "void step;", "kernels/a.h": "#define A"}


def held(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["main.elf", "check_host", "result.json", "report.html"])
def test_what_is_built_and_reported_there_does_not_stand_in_the_way(tmp_path, name):
    write_folder(tmp_path / "p", CONTENT)
    (tmp_path / "p" / name).write_text("made")
    check_folder(tmp_path / "p")
    write_folder(tmp_path / "p", CONTENT)
    assert set(held(tmp_path / "p")) == {*CONTENT, MANIFEST}


@pytest.mark.parametrize("name", ["notes.txt", "kernels/mine.h"])
def test_a_file_of_the_users_own_is_named(tmp_path, name):
    write_folder(tmp_path / "p", CONTENT)
    (tmp_path / "p" / name).write_text("mine")
    with pytest.raises(InputError, match=f"a project that also holds {name}"):
        check_folder(tmp_path / "p")


@pytest.mark.parametrize("name", ["main.c", "flash_board.c", "start.c", "kernels/a.h"])
def test_a_file_that_was_changed_is_not_written_over(tmp_path, name):
    write_folder(tmp_path / "p", {**CONTENT, name: "as written"})
    (tmp_path / "p" / name).write_text("mine")
    with pytest.raises(InputError, match=f"a project whose {name} was changed"):
        check_folder(tmp_path / "p")
    assert held(tmp_path / "p")[name] == "mine"


def test_a_manifest_that_is_none_makes_no_project(tmp_path):
    (tmp_path / MANIFEST).write_text("[]")
    with pytest.raises(InputError, match="a folder that holds something else"):
        check_folder(tmp_path)


def test_a_disk_that_is_full_leaves_the_old_project(tmp_path, monkeypatch):
    write_folder(tmp_path / "p", CONTENT)
    before = held(tmp_path / "p")

    def full(path, text):
        raise WriteError(str(path), OSError(28, "No space left on device"), len(text))

    monkeypatch.setattr("blockwise.firmware.emit.folder.atomic_write", full)
    with pytest.raises(WriteError, match="room for"):
        write_folder(tmp_path / "p", CONTENT)
    assert held(tmp_path / "p") == before and [p.name for p in tmp_path.iterdir()] == ["p"]


def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    write_folder(tmp_path / "there" / "p", CONTENT)
    (tmp_path / "link").symlink_to(tmp_path / "there" / "p")
    check_folder(tmp_path / "link")
    write_folder(tmp_path / "link", {"main.c": "int other;"})
    assert (tmp_path / "link").is_symlink() and set(held(tmp_path / "there" / "p")) == {"main.c", MANIFEST}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "there"]
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["p"]


@pytest.mark.parametrize(
    ("within", "out", "message"),
    [
        ("p", ".", "got the working directory, "),
        ("p", "../link", "got the working directory, "),
        ("p/kernels", "..", "got a folder around the working directory, "),
        ("empty", ".", "got the working directory, "),
    ],
)
def test_the_working_directory_is_not_replaced(within, out, message, tmp_path, monkeypatch):
    write_folder(tmp_path / "p", CONTENT)
    (tmp_path / "link").symlink_to(tmp_path / "p")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / within)
    with pytest.raises(InputError, match=message) as raised:
        check_folder(Path(out))
    assert raised.value.exit_code == 2 and "\n" not in str(raised.value)
