"""The folder of a run: what is written, what is read back, what is refused."""

import json
import os
import re
from pathlib import Path

import pytest

from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    BoardSettings,
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)
from devices.errors import InputError

EVERYTHING = Config(
    BoardSettings("rp2040", 4),
    NetworkSettings("cnn", 4, blocks="2", head="gap", norm="group"),
    ImageSettings("digits", 16, (3, 8, 8), 5),
    QuantizationSettings("dorefa", weight_bits=2, activation_bits=4, bit_chain=(32, 4)),
    TrainingSettings(
        ("local", "bp"), epochs=2, batch_size=8, optimizer="adam", lr=0.5, weight_decay=0.25, update="end",
        micro_batch=2, seed=7, accelerator="cpu", compile=True,
    ),
    OutputSettings(dry_run=True),
)  # fmt: skip


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_configuration_comes_back_as_it_was_written():
    out = outfolder.prepare(EVERYTHING)
    saved = outfolder.saved_config(out)
    assert saved.learning() == EVERYTHING.learning()
    assert saved.output == OutputSettings(resume=out, dry_run=True)
    assert (out / outfolder.CHECKPOINTS).is_dir()


def test_runs_without_a_name_of_their_own_get_different_folders():
    folders = [outfolder.prepare(Config()) for _ in range(3)]
    assert len(set(folders)) == 3
    assert {folder.parent for folder in folders} == {Path("runs")}


def test_the_folder_is_named_after_a_profile_and_not_its_path():
    assert outfolder.default_out(Config(BoardSettings("/boards/mine.toml"))).name.endswith("-mine-resnet20")


def test_every_file_system_takes_the_name_of_a_folder_of_its_own():
    board, network = os.fsdecode(b"/boards/caf\xe9: my board?.toml"), NetworkSettings("torchvision:resnet18")
    config = Config(BoardSettings(board), network, output=OutputSettings(dry_run=True))
    name = outfolder.default_out(config).name
    assert name.endswith("-caf---my-board--torchvision-resnet18")
    assert re.fullmatch(r"[A-Za-z0-9._-]+", name)


def test_a_folder_with_a_run_is_resumed_but_not_taken_for_another():
    out = outfolder.prepare(Config(output=OutputSettings(out=Path("run"))))
    with pytest.raises(InputError, match="a folder that holds a run"):
        outfolder.prepare(Config(output=OutputSettings(out=out)))
    assert outfolder.prepare(outfolder.saved_config(out)) == out


def test_a_dry_run_is_resumed_as_one():
    out = outfolder.prepare(Config(output=OutputSettings(dry_run=True)))
    assert outfolder.saved_config(out).output.dry_run


def test_digests_go_on_when_a_run_is_resumed():
    out = outfolder.prepare(Config(output=OutputSettings(digest=True, quiet=True)))
    saved = outfolder.saved_config(out).output
    assert saved == OutputSettings(resume=out, digest=True)


def damaged(change: dict[str, object]) -> str:
    data = {"board": {"device": "stm32"}, "network": {}, "images": {}, "quantization": {}, "training": {}}
    return json.dumps(data | change)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "7", '"text"', "{}", '{"board": 1}', "\x00",
        damaged({"board": {"device": 5}}), damaged({"board": {"devise": "stm32"}}),
        damaged({"training": {"regimes": [1]}}), damaged({"network": []}),
    ],
)  # fmt: skip
def test_whatever_is_no_configuration_is_refused_in_one_line(text, tmp_path):
    (tmp_path / outfolder.CONFIG_FILE).write_text(text, "utf-8")
    with pytest.raises(InputError, match="no valid configuration"):
        outfolder.saved_config(tmp_path)


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [("network", "width", "8"), ("training", "epochs", 1.5), ("training", "regimes", "bp"),
     ("training", "regimes", [1]), ("training", "lr", "fast"), ("images", "image_size", "16"),
     ("output", "dry_run", "no")],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(group, key, value):
    out = outfolder.prepare(EVERYTHING)
    file = out / outfolder.CONFIG_FILE
    groups = json.loads(file.read_text("utf-8"))
    groups[group][key] = value
    file.write_text(json.dumps(groups), "utf-8")
    with pytest.raises(InputError, match="no valid configuration"):
        outfolder.saved_config(out)
