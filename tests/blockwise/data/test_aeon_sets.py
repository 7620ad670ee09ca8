"""Sets of the time series archives, through a stand-in for the package: it and its data are optional."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sets import message
from waves import waves

from blockwise.data import SignalAugment, aeon_sets, load
from devices.errors import InputError


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the stand-in was asked for; it has the set Waves in its package, and others "downloaded"."""
    package = tmp_path / "aeon" / "datasets"
    (package / "data" / "Waves").mkdir(parents=True)
    (package / "data" / "Waves" / "Waves_TRAIN.ts").write_text("")
    calls: list[Any] = []

    def load_classification(
        name: str, split: str, extract_path: str | None, load_equal_length: bool, load_no_missing: bool
    ) -> tuple[Any, Any]:
        assert not (load_equal_length or load_no_missing)  # what makes other series of them, by version
        calls.append((name, split, extract_path))
        arrays = waves()
        labels = np.array(["rest", "run", "walk"])[arrays[f"y_{split}"]]
        if name == "Gone":
            raise ValueError("File name Gone is not in the list\nof valid files")
        if name == "Uneven":
            return [one[:, : 10 + i % 5] for i, one in enumerate(arrays[f"x_{split}"])], labels
        if name == "Missing":
            arrays[f"x_{split}"][3, 1, 4] = np.nan
        return arrays[f"x_{split}"].astype(np.float64), labels

    datasets, aeon = ModuleType("aeon.datasets"), ModuleType("aeon")
    datasets.__path__ = [str(package)]
    datasets.load_classification = load_classification  # type: ignore[attr-defined]
    aeon.datasets = datasets  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "aeon", aeon)
    monkeypatch.setitem(sys.modules, "aeon.datasets", datasets)
    monkeypatch.setattr(aeon_sets, "find_spec", lambda name: name)
    return calls


def test_a_set_of_the_package_is_read_with_its_classes_and_test_series(
    asked: list[Any], tmp_path: Path
) -> None:
    found = load("aeon:Waves", cache_dir=tmp_path)
    assert found.name == "Waves" and found.in_shape == (2, 24) and found.classes == ("rest", "run", "walk")
    assert (len(found.train) + len(found.validation), len(found.test)) == (96, 24)
    assert isinstance(found.policy, SignalAugment) and found.scaling is not None
    assert asked == [("Waves", "train", None), ("Waves", "test", None)]


def test_another_set_is_downloaded_only_if_that_is_asked_for(asked: list[Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got no files in .*; use --download, or one of Waves"):
        load("aeon:Other", cache_dir=tmp_path)
    assert not asked
    load("aeon:Other", cache_dir=tmp_path, download=True)
    assert asked[0] == ("Other", "train", str(tmp_path / "aeon"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Gone", "got File name Gone is not in the list, wanted a set for classification"),
        ("Uneven", "got train series of 10 to 14 steps, wanted series of one length"),
        ("Missing", "x_train: got nan in sample 3, channel 1 at [4], wanted finite numbers"),
        ("../Waves", "got '../Waves', wanted a set's name"),
    ],
)
def test_sets_that_cannot_be_used_get_one_line(
    name: str, words: str, asked: list[Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as raised:
        load(f"aeon:{name}", cache_dir=tmp_path, download=True)
    assert words in message(raised)


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aeon_sets, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"got no package aeon, .*\.\[timeseries\]"):
        load("aeon:BasicMotions")
