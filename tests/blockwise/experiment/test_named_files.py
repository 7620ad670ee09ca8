"""What a run is known by changes with the files of one's own that it names, and with nothing else."""

from pathlib import Path

import numpy as np
import pytest

from blockwise.cli.commands.compare import parse
from blockwise.experiment import named_files
from blockwise.experiment.config import Config
from devices.boards import profile

NET = "from torch import nn\n\ndef Net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET, encoding="utf-8")
    Path("my.toml").write_text(profile.TEMPLATE.read_text("utf-8"), encoding="utf-8")


def samples(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(40, 2, 16))
    np.savez("own.npz", x_train=x, y_train=np.arange(40) % 2)


def config(*flags: str) -> Config:
    return parse([*flags, "--quiet"])


def test_what_is_built_in_adds_nothing():
    usual = config("--model", "cnn", "--data", "digits", "--device", "rp2040")
    assert (named_files.digests(usual), named_files.of_images(usual)) == ((), ())


@pytest.mark.parametrize("file", ["net.py", "my.toml"])
def test_a_network_or_a_board_that_was_edited_is_another(file):
    told = config("--model", "net.py:Net", "--device", "my.toml", "--regimes", "bp", "--norm", "none")
    before = named_files.digests(told)
    assert len(before) == 2 == len(set(before)) and named_files.digests(told) == before
    Path(file).write_text(Path(file).read_text("utf-8") + "# edited\n", encoding="utf-8")
    after = named_files.digests(told)
    assert [a == b for a, b in zip(before, after, strict=True)] == [file != "net.py", file != "my.toml"]


@pytest.mark.filterwarnings("ignore::blockwise.system.notes.Note")
def test_other_samples_behind_the_same_path_are_others():
    told = config("--model", "cnn1d", "--width", "4", "--data", "own.npz")
    found = []
    for seed in (0, 1, 0):
        samples(seed)
        found.append(named_files.of_images(told))
    assert found[0] == found[2] != found[1]
