"""Files appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from blockwise.experiment.result import Result
from blockwise.report import make_console, print_report, read, write, write_all
from blockwise.system.files import WriteError, atomic_write


def _failing(*_: object) -> None:
    raise OSError("no space left")


def test_every_rendering_is_written_and_named(four: Result, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    named = write_all(four, out)
    assert set(named.files.values()) == {path.name for path in out.iterdir()}
    assert read(out / "result.json")["files"] == named.files


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes(four: Result, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        write_all(four, tmp_path / folder)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_the_report_says_where_the_files_are(
    four: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_report(write_all(four, tmp_path), make_console(), Path("runs/one"))
    assert "timeline.svg, timeline.png in runs/one" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failing_write_leaves_the_old_file_and_no_other(
    four: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    monkeypatch.setattr(os, broken, _failing)
    with pytest.raises(WriteError, match="no space left"):
        write(four, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]
    assert path.read_text() == "old"


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "file", b"data")
    assert not list(tmp_path.iterdir())


def test_text_is_stored_as_utf_8_without_newline_translation(tmp_path: Path) -> None:
    atomic_write(tmp_path / "file", "ü\n")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xbc\n"


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "file", b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
