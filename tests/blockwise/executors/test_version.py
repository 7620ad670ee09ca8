"""A digest of the sources: the same for a copy, another for any change."""

import shutil

import torch

import blockwise
from blockwise.executors.version import Version, digest


def test_a_copy_has_the_same_digest_and_any_change_another(tmp_path):
    first, copy = tmp_path / "one" / "package", tmp_path / "two" / "package"
    (first / "room").mkdir(parents=True)
    (first / "room" / "a.py").write_text("x = 1\n", "utf-8")
    shutil.copytree(first, copy)
    (copy / "room" / "a.pyc").write_bytes(b"compiled")
    found = digest([first])
    assert digest([copy]) == found
    (copy / "room" / "a.py").write_text("x = 2\n", "utf-8")
    changed = digest([copy])
    (copy / "room" / "a.py").rename(copy / "a.py")
    assert len({found, changed, digest([copy])}) == 3


def test_it_is_said_in_words():
    here = Version.here()
    assert (
        str(here) == f"Blockwise {blockwise.__version__} (sources {here.code}) on PyTorch {torch.__version__}"
    )
    assert here == Version.here() and len(here.code) == 8
