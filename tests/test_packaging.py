"""What a wheel needs: every file of the packages is code or listed as data, py.typed among them."""

import fnmatch
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("blockwise", "devices")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_that_is_no_code_is_listed_as_data(package):
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    listed = setup["package-data"][package]
    files = [path.relative_to(ROOT / package) for path in (ROOT / package).rglob("*") if path.is_file()]
    data = [str(path) for path in files if path.suffix not in (".py", ".pyc")]
    assert [path for path in data if not any(fnmatch.fnmatch(path, glob) for glob in listed)] == []
    assert "py.typed" in data


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_with_code_is_a_package_that_the_wheel_finds(package):
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
