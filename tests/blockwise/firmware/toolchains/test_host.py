"""The harness for this computer: compilers that are there or not."""

import importlib.util
import shutil

import pytest

from blockwise.firmware.toolchains import host
from blockwise.firmware.toolchains.toolchain import BuildError
from devices.errors import InputError


def test_only_the_sources_of_this_computer_are_built(tmp_path):
    (tmp_path / "check.c").write_text("int answer(void);\nint main(void) { return answer(); }\n")
    (tmp_path / "step.c").write_text("int answer(void) { return 0; }\n")
    for name in ("main.c", "start.c", "port_semihosting.c"):
        (tmp_path / name).write_text("int main(void) { return 1; }\n")
    host.build(tmp_path, "check", tmp_path / "program")
    assert (tmp_path / "program").stat().st_mode & 0o100
    (tmp_path / "step.c").write_text("nonsense\n")
    with pytest.raises(BuildError, match=r"step\.c.*error"):
        host.build(tmp_path, "check", tmp_path / "program")


def test_no_compiler_is_told_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="uv sync --extra firmware"):
        host.build(tmp_path, "check", tmp_path / "program")
