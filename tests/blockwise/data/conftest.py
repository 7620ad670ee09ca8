"""An image folder, and loading with a cache of the test's own."""

from pathlib import Path
from typing import Any

import pytest
from pets import Load, fill

from blockwise.data import Dataset, load


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path / "pets")


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """``load`` with a cache of the test's own."""

    def call(path: Path, **options: Any) -> Dataset:
        return load(str(path), cache_dir=tmp_path / "cache", **options)

    return call
