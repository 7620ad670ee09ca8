"""The tests stand where what they test stands, and each of them is run."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCES = ("blockwise", "devices", "benchmarks")
FILES = sorted(TESTS.rglob("test_*.py"))


@pytest.mark.parametrize("source", SOURCES)
def test_every_folder_of_tests_mirrors_one_of_the_source(source):
    folders = {path.parent.relative_to(TESTS) for path in (TESTS / source).rglob("*.py")}
    assert folders
    assert [str(f) for f in sorted(folders) if not (TESTS.parent / f).is_dir()] == []


def test_no_test_lies_outside_these_folders_but_those_of_the_whole():
    others = {path.relative_to(TESTS).parts[0] for path in FILES} - set(SOURCES)
    assert [name for name in sorted(others) if not name.startswith("test_")] == []


def test_no_test_decides_while_it_runs_that_it_cannot_be():
    """A case that cannot be is not made; what this computer lacks is told by a mark before the test."""
    call = "pytest." + "skip("
    assert [str(path) for path in FILES if call in path.read_text("utf-8")] == []
