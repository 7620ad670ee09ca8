"""Which commit a run says it is of."""

import subprocess
from pathlib import Path

import pytest

from blockwise.experiment import provenance


def test_the_repository_around_an_installation_is_not_that_of_blockwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is installed in an environment within a checkout of something else."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    installed = tmp_path / "environment" / "packages"
    monkeypatch.setattr(provenance, "__file__", str(installed / "blockwise" / "experiment" / "provenance.py"))
    (installed / "blockwise" / "experiment").mkdir(parents=True)
    assert provenance.git_commit() == "unknown"
    (tmp_path / ".git").rename(installed / ".git")
    assert len(provenance.git_commit().removesuffix("-dirty")) == 12
