"""The tests stand where what they test stands, and each of them is run."""

import ast
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


@pytest.mark.parametrize("source", SOURCES)
def test_functions_and_files_are_as_small_as_contributing_says(source):
    large = []
    for path in sorted((TESTS.parent / source).rglob("*.py")):
        text = path.read_text("utf-8")
        large += [str(path)] if len(text.splitlines()) > 300 else []
        functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
        large += [f"{path}: {f.name}" for f in functions if (f.end_lineno or 0) - f.lineno >= 45]
    assert large == []


def test_no_test_decides_while_it_runs_that_it_cannot_be():
    """A case that cannot be is not made; what this computer lacks is told by a mark before the test."""
    call = "pytest." + "skip("
    assert [str(path) for path in FILES if call in path.read_text("utf-8")] == []
