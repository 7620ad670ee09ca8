"""The documents: their figures are those of the records, and what they name exists."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from blockwise.cli import main as cli

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
OTHERS = {"--dist", "--extra", "--logdir"}
"""Flags of pytest, uv and TensorBoard."""
FOLDERS = "blockwise|devices|tests|docs|benchmarks|results|examples"


def test_the_documents_show_what_results_hold(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setattr(sys, "argv", ["readme.py", "--check"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "benchmarks" / "readme.py"), run_name="__main__")
    assert stop.value.code == 0, "run: python benchmarks/readme.py"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_files_that_a_document_names_exist(document):
    text = document.read_text("utf-8")
    linked = [document.parent / name for name in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text)]
    named = [ROOT / name for name in re.findall(rf"(?<!New, )`((?:{FOLDERS})/[\w/.-]*)`", text)]
    assert [str(path) for path in (*linked, *named) if not path.exists()] == []


def test_the_flags_that_the_documents_name_exist(capsys):
    told = "".join(path.read_text("utf-8") for path in (ROOT / "README.md", ROOT / "docs" / "usage.md"))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", told)) - OTHERS
    for command in (
        [],
        ["adapt"],
        ["boards"],
        ["show"],
        ["diff"],
        ["fit"],
        ["firmware"],
        ["arena"],
        ["export"],
        ["study", "qat"],
        ["study", "recipe"],
    ):
        with pytest.raises(SystemExit):
            cli.main([*command, "--help"])
    helps = capsys.readouterr().out
    assert {flag for flag in named if flag not in helps} == set()


def test_the_readme_is_read_in_one_go():
    """All else is in docs/."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 130


@pytest.mark.slow
def test_the_python_of_the_documents_runs(capsys):
    for document in ("docs/usage.md", "README.md"):
        text = (ROOT / document).read_text("utf-8")
        for code in re.findall(r"```python\n(.*?)```", text, flags=re.S):
            exec(compile(code, document, "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert re.match(r"\d+ \[0\.\d+, 0\.\d+\]", printed[0])
    assert re.match(r"\d+ True \{'packed weights': ", printed[1])
    assert re.match(r"\{'bp': 0\.\d+, 'local': 0\.\d+\}", printed[-1])
