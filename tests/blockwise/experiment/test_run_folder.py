"""The folder of a run: what is written, what is read back, what is refused."""

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from blockwise import models
from blockwise.data import blank
from blockwise.experiment import board
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment import saved as saved_settings
from blockwise.experiment.config import Config
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.settings import (
    BoardSettings,
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.models import Chain
from blockwise.models.files import keeping
from devices.boards import profile
from devices.errors import InputError

EVERYTHING = Config(
    BoardSettings("rp2040", 4),
    NetworkSettings("cnn", 4, blocks="2", head="gap", norm="group"),
    ImageSettings("digits", None, (3, 8, 8), 5),
    QuantizationSettings("dorefa", weight_bits=2, activation_bits=4, bit_chain=(32, 2)),
    TrainingSettings(
        ("local", "bp"), epochs=2, batch_size=8, optimizer="adam", lr=0.5, weight_decay=0.25, update="end",
        micro_batch=2, seed=7, accelerator="cpu", compile=True,
    ),
    OutputSettings(dry_run=True),
)  # fmt: skip


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("images", [EVERYTHING.images, ImageSettings("digits", 16, hold_out=("1",))])
def test_a_configuration_comes_back_as_it_was_written(images):
    config = replace(EVERYTHING, images=images)
    out = outfolder.prepare(config)
    saved = outfolder.saved_config(out)
    assert saved.learning() == config.learning()
    assert saved.output == OutputSettings(resume=out, dry_run=True)
    assert (out / outfolder.CHECKPOINTS).is_dir()


def test_runs_without_a_name_of_their_own_get_different_folders():
    folders = [outfolder.prepare(Config()) for _ in range(3)]
    assert len(set(folders)) == 3
    assert {folder.parent for folder in folders} == {Path("runs")}


def test_the_folder_is_named_after_a_profile_and_not_its_path():
    assert outfolder.default_out(Config(BoardSettings("/boards/mine.toml"))).name.endswith("-mine-resnet20")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("nets/net.py:Net", "net-Net"), ("nets/net.py", "net"), ("/far/mobile.v2.pt2", "mobile.v2"),
        ("net.onnx", "net"), ("module:Net", "Net"), ("torchvision:resnet18", "torchvision-resnet18"),
    ],
)  # fmt: skip
def test_the_folder_is_named_after_ones_own_network_and_not_the_kind_of_its_file(model, name):
    config = Config(network=NetworkSettings(model))
    assert outfolder.default_out(config).name.partition("-stm32-")[2] == name


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


def test_a_new_run_keeps_its_own_network_whatever_lies_there_and_one_that_goes_on_what_it_began_with():
    """Of a run that was stopped before it wrote its configuration a network may be left."""
    first, second = (models.build("mlp", (1, 8, 8), 10, width) for width in (4, 8))
    keeping.save(first, Path())
    assert models.count_parameters(keeping.load(Path(), "mlp")) == models.count_parameters(first)
    new = Config(output=OutputSettings(out=Path()))
    out = outfolder.prepare(new, with_own(new, second))
    assert models.count_parameters(keeping.load(out, "mlp")) == models.count_parameters(second)
    goes_on = Config(output=OutputSettings(resume=out))
    outfolder.prepare(goes_on, with_own(goes_on, first))
    assert models.count_parameters(keeping.load(out, "mlp")) == models.count_parameters(second)


def with_own(config: Config, own: Chain) -> Prepared:
    return Prepared(config, board.load("stm32"), blank((1, 8, 8), 10), own)


def test_a_run_keeps_its_boards_whatever_becomes_of_their_files():
    path = Path("mine.toml")
    path.write_text(profile.TEMPLATE.read_text("utf-8"), "utf-8")
    config = Config(BoardSettings(str(path), 4, other_devices=("rp2040",)))
    mine = board.load(str(path), 4)
    out = outfolder.prepare(config, Prepared(config, mine, blank((1, 8, 8), 10)))
    path.write_text(path.read_text("utf-8").replace("clock_mhz = ", "clock_mhz = 1"), "utf-8")
    assert board.load(str(path)).clock_mhz != mine.clock_mhz
    assert board.load(str(path), 4, out) == mine
    path.unlink()
    assert board.load(str(path), None, out) == mine
    assert board.load(str(path), 6, out) == replace(mine, reserve_bytes=6 * profile.KIB)
    assert board.load("rp2040", None, out) == board.load("rp2040", 4)
    assert board.load("stm32", None, out) == board.load("stm32")  # which it does not have
    with pytest.raises(InputError, match=r"mine\.toml: got No such file"):
        board.load(str(path))


@pytest.mark.parametrize("name", sorted(profile.catalogue()))
def test_every_board_comes_back_as_it_was_kept(name):
    Path("run").mkdir()
    board.keep({"it": profile.load(name)}, Path("run"))
    assert board.load("it", None, Path("run")) == profile.load(name)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"it": 3}', '{"it": {"name": "it"}}', "[" * 100_000])
def test_damaged_boards_of_a_run_are_refused_in_one_line(text):
    Path(board.KEPT).write_text(text, "utf-8")
    with pytest.raises(InputError, match="wanted the file as the run wrote it") as raised:
        board.load("it", None, Path())
    assert "\n" not in str(raised.value)


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
        "", "{", "[]", "null", "7", '"text"', "{}", "[" * 100_000, '{"board": 1}', "\x00",
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


def edited(change) -> Path:
    """The folder of a run whose groups of settings are changed."""
    out = outfolder.prepare(EVERYTHING)
    file = out / outfolder.CONFIG_FILE
    groups = json.loads(file.read_text("utf-8"))
    change(groups)
    file.write_text(json.dumps(groups), "utf-8")
    return out


def without_later(groups: dict) -> None:
    """As a version wrote it without frozen layers, other augmentation, several seeds and zeroth order."""
    del groups["zeroth_order"], groups["training"]["frozen"], groups["images"]["augment"]
    del groups["output"]["seeds"]


def test_settings_that_came_later_have_their_defaults_and_stay_out_of_the_file():
    out = edited(without_later)
    saved = outfolder.saved_config(out)
    assert saved.learning() == EVERYTHING.learning()  # these are all at their defaults
    assert outfolder.prepare(saved) == out
    groups = json.loads((out / outfolder.CONFIG_FILE).read_text("utf-8"))
    assert "zeroth_order" not in groups and "frozen" not in groups["training"]
    assert outfolder.absent_settings(saved) >= {"frozen", "augment", "seeds", "zo_eps"}


def test_the_fingerprint_of_a_run_of_an_earlier_version_is_the_one_that_it_had():
    saved = outfolder.saved_config(edited(without_later))
    learning = saved.learning()
    for name in ("frozen", "augment", *(name for name in learning if name.startswith("zo_"))):
        del learning[name]
    text = json.dumps([learning, ["bp", 3]], sort_keys=True, default=str)
    then = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert saved.fingerprint("bp", 3, without=outfolder.absent_settings(saved)) == then
    assert saved.fingerprint("bp", 3) != then
    assert outfolder.absent_settings(EVERYTHING) == frozenset()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda g: g["training"].update(bunching=3), "training.bunching, which this version does not know"),
        (lambda g: g.update(later={"way": 1}), "later.way, which this version does not know"),
        (lambda g: g["training"].pop("seed"), "no training.seed;?"),
        (lambda g: g["network"].pop("head") and g["images"].pop("data"), "no network.head, images.data"),
        (lambda g: g["training"].update(lr="fast"), "training.lr 'fast', which is no float or null"),
        (lambda g: g["training"].update(regimes=[1]), r"training.regimes \[1\], which is no list of str"),
        (
            lambda g: g["network"].update(head="pred:64") or g["network"].pop("activation"),
            "network.head 'pred:64' of an earlier version; now it is the head of that name before the pool",
        ),
    ],
)
def test_what_is_unknown_missing_or_means_something_else_is_refused_by_name(change, told):
    out = edited(change)
    with pytest.raises(InputError, match=f"got no valid configuration: {told}") as raised:
        outfolder.saved_config(out)
    assert "\n" not in str(raised.value)


GIVEN = {
    "board": {"device": "stm32"},
    "network": {"model": "cnn", "width": 8, "blocks": "stages", "head": "gap"},
    "images": {"data": "digits", "image_size": None},
    "quantization": {"method": "lsq", "weight_bits": 3, "activation_bits": 3},
    "training": {
        "regimes": ["bp"], "epochs": 5, "batch_size": 16, "optimizer": "sgd-momentum", "lr": None,
        "update": "auto", "seed": 0, "accelerator": "auto", "compile": False,
    },
}  # fmt: skip
"""As the first version wrote it."""


def test_a_file_of_the_first_version_is_read():
    found = Config(**saved_settings.configuration(GIVEN))
    quantization = QuantizationSettings("lsq", weight_bits=3, activation_bits=3)
    network, training = NetworkSettings("cnn", 8, "stages", "gap"), TrainingSettings(("bp",))
    assert found == Config(network=network, quantization=quantization, training=training)
