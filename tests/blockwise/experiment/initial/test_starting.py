"""A run starts from trained weights: of a run, a file or a state dict, in every regime, to the bit."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import blockwise
from blockwise.cli import main as cli
from blockwise.experiment import exported
from blockwise.experiment.config import Config
from blockwise.experiment.initial import sources
from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.experiment.trainer import options_of, run_of
from blockwise.models import build
from blockwise.system.notes import Note
from blockwise.training import checkpoint
from devices.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::blockwise.system.notes.Note")

SMALL = {"model": "cnn", "width": 4, "blocks": "2", "head": "gap", "epochs": 1, "batch_size": 64}


def configured(init: object, **settings: object) -> Config:
    return config_of({**SMALL, "init": str(init), **settings})


def flags(**settings: object) -> list[str]:
    given = {**SMALL, **settings}
    return [
        part
        for name, value in given.items()
        for part in (f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else [value]))
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A run of two regimes and its export."""
    out = tmp_path_factory.mktemp("source") / "run"
    assert cli.main([*flags(regimes=("local", "bp")), "--quiet", "--out", str(out)]) in (0, 3)
    assert cli.main(["export", str(out), "--regime", "bp"]) == 0
    return out


def best(run: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """The regime of the run that the verdict names, and its weights."""
    rows = json.loads((run / "result.json").read_text("utf-8"))["regimes"]
    regime = max(rows, key=lambda row: row["test_accuracy"])["regime"]
    state = checkpoint.load(run / "checkpoints" / f"{regime}.pt", None)
    assert state is not None
    return regime, state["net"]


def values(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All but the counters of norms, by which nothing goes."""
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.slow
def test_a_run_goes_on_from_every_bit_of_another_of_the_same_quantization(source):
    regime, state = best(source)
    prepared = prepare(configured(source, regimes=("bp", "local")))
    started = values(prepared.build(regime).state_dict())
    assert {name for name, tensor in started.items() if not torch.equal(tensor, state[name])} == set()
    assert prepared.initial_taken is not None
    assert (prepared.initial_taken.regime, prepared.initial_taken.quantizers) == (regime, True)
    assert prepared.initial_taken.heads == (regime == "local")


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["local", "local-resident"])
def test_a_run_on_small_images_hands_weights_norms_and_steps_to_a_training_on_larger_ones(regime, tmp_path):
    """Behind a global average pool no shape hangs on the images; the first step quantizes as the last did."""
    small, larger = (
        {**SMALL, "model": "resnet8", "blocks": "stages", "image_size": size} for size in (8, 16)
    )
    assert cli.main([*flags(**small, regimes=("bp",)), "--quiet", "--out", str(tmp_path / "run")]) in (0, 3)
    _, state = best(tmp_path / "run")
    config = config_of({**larger, "init": str(tmp_path / "run"), "regimes": (regime,), "accelerator": "cpu"})
    prepared = prepare(config)
    assert prepared.dataset.in_shape == (1, 16, 16)
    assert prepared.initial_taken is not None and prepared.initial_taken.quantizers
    run = run_of(prepared, regime, options_of(prepared, regime))
    kept = {name: tensor.clone() for name, tensor in values(run.net.state_dict()).items()}
    bodies = {name for name in kept if name.startswith("bodies.")}
    assert any("quantizer" in name for name in bodies) and any("running" in name for name in bodies)
    assert {name for name in bodies if not torch.equal(kept[name], state[name])} == set()
    run._freeze(run.phases[0])
    run._prepare(run.phases[0], None)  # where quantizers without a start choose theirs
    now = run.net.state_dict()
    assert {name for name in bodies if not torch.equal(kept[name], now[name])} == set()


@pytest.mark.slow
def test_other_bits_take_weights_and_norms_and_choose_their_steps_as_any_training_does(source):
    _, state = best(source)
    net = prepare(configured(source, weight_bits=5)).build("bp")
    for name, tensor in values(net.state_dict()).items():
        if "quantizer" not in name and not name.startswith("heads."):
            assert torch.equal(tensor, state[name]), name
        elif name.endswith("ready"):
            assert not tensor


@pytest.mark.slow
def test_an_exported_file_gives_the_weights_that_its_codes_mean(source):
    net = prepare(configured(source / "bp.safetensors")).build_parts()[0]
    tensors, _ = exported.read(source / "bp.safetensors")
    assert torch.equal(net.units.state_dict()["conv1.conv.weight"], tensors["conv1.conv.weight"])
    assert torch.equal(net.units.state_dict()["classifier.linear.bias"], tensors["classifier.linear.bias"])


@pytest.mark.slow
def test_an_interrupted_run_needs_its_source_no_more_and_ends_with_the_same_bits(source, tmp_path):
    def digests(folder: Path) -> list[str]:
        rows = json.loads((folder / "result.json").read_text("utf-8"))["regimes"]
        return [row["training"]["digest"] for row in rows]

    lent = tmp_path / "lent"
    shutil.copytree(source, lent)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    run = [*flags(regimes=("bp", "local"), init=lent), "--digest", "--quiet", "--out"]
    assert cli.main([*run, str(whole)]) in (0, 3)
    shutil.copytree(whole, halves)
    (halves / "result.json").unlink()
    (halves / "checkpoints" / "local.pt").unlink()  # as if it were interrupted before
    shutil.rmtree(lent)
    assert cli.main(["--resume", str(halves), "--quiet"]) in (0, 3)
    assert digests(halves) == digests(whole)
    initial = json.loads((halves / "result.json").read_text("utf-8"))["initial"]
    assert initial["digest"] == sources.read(str(source)).digest
    assert initial["source"] == str(lent)


@pytest.mark.slow
def test_integers_start_from_a_float_run_and_floats_from_an_integer_one(tmp_path):
    small = flags(model="plain4", regimes=("niti4-local",))
    assert cli.main([*small, "--quiet", "--out", str(tmp_path / "integers")]) in (0, 3)
    state = best(tmp_path / "integers")[1]
    again = prepare(configured(tmp_path / "integers", model="plain4", regimes=("niti4-local",)))
    net = again.build("niti4-local").state_dict()
    assert all(torch.equal(net[n], state[n]) for n in net if n.endswith("weight"))
    floats = again.chain().units.state_dict()["conv2.conv.weight"]
    place = again.build("niti4-local").body(0).layers  # type: ignore[union-attr]
    assert floats.unique().numel() <= 240 and len(place)  # states with residues


@pytest.mark.slow
def test_a_state_dict_of_torchvision_gives_the_network_that_it_is_of(tmp_path):
    import torchvision.models as zoo  # type: ignore[import-untyped]

    theirs = zoo.mobilenet_v2(width_mult=0.35, num_classes=10).eval()
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "theirs.pth")
    config = configured(
        tmp_path / "theirs.pth", model="torchvision:mobilenet_v2", width=0.35, method="fp32",
        in_shape=(3, 32, 32), dry_run=True,
    )  # fmt: skip
    ours, x = prepare(config).chain().eval(), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_module_of_ones_own_takes_its_own_state_dict(tmp_path):
    def module() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10),
        )  # fmt: skip

    theirs, x = module().eval(), torch.randn(2, 1, 8, 8)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    config = configured(tmp_path / "theirs.pt", model="module:Sequential", width=None, method="fp32")
    ours = prepare(config, own=blockwise.from_module(module(), (1, 8, 8))).chain().eval()
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_classifier_of_other_classes_begins_at_random_and_that_is_said(tmp_path):
    torch.save(build("cnn", (1, 8, 8), 7, 4).state_dict(), tmp_path / "seven.pt")
    with pytest.warns(Note, match=r"the classifier begins at random \(7x16 where 10x16 is wanted\)"):
        chain = prepare(configured(tmp_path / "seven.pt")).chain()
    fresh = prepare(config_of(SMALL)).chain()
    assert torch.equal(chain.units.classifier.linear.weight, fresh.units.classifier.linear.weight)
    assert not torch.equal(chain.units.conv1.conv.weight, fresh.units.conv1.conv.weight)


def test_training_in_python_starts_from_a_file(tmp_path):
    start = tmp_path / "start.pt"
    torch.save(build("cnn", (1, 8, 8), 10, 4).state_dict(), start)
    result = blockwise.train(
        "cnn", width=4, blocks="1", epochs=1, batch_size=64, regimes=("bp",), method="fp32", init=start
    )
    assert result.initial is not None
    # convolutions 36 + 288 + 1152, norms 4 x (4 + 8 + 16), the classifier 160 + 10
    assert (result.initial.source, result.initial.values) == (str(start), 1_758)


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("code.pt", nn.Linear(2, 2), "got a pickled module, or another object that is none"),
        ("empty.pt", {"a": 3}, "got no weights"),
        ("other.bin", {}, r"got a file \.bin, wanted he, pytorch, or trained weights"),
        ("wide.pt", {"conv1.conv.weight": torch.ones(5, 1, 3, 3)}, "got 5x1x3x3 for conv1.conv.weight"),
    ],
)  # fmt: skip
def test_what_is_no_such_network_is_refused_in_one_line(name, written, message, tmp_path):
    torch.save(written, tmp_path / name)
    with pytest.raises(InputError, match=message) as raised:
        prepare(configured(tmp_path / name))
    assert str(raised.value).startswith("--init ")
    assert "\n" not in str(raised.value)


def test_what_is_not_used_is_named_wherever_it_stands(tmp_path):
    """In a layer by the layer's name, beside all layers by its own."""
    network, _ = prepare(configured("he")).build_parts()
    given = {**network.units.state_dict(), "extra": torch.zeros(3), "aux.weight": torch.zeros(2)}
    torch.save(given, tmp_path / "more.pt")
    found = prepare(configured(tmp_path / "more.pt")).initial_taken
    assert found is not None
    assert found.sentence.endswith("not used are extra, aux")


def test_what_is_not_there_is_refused_in_one_line(tmp_path):
    for given, message in (
        (tmp_path / "gone.pt", "no such file or folder"), (tmp_path, "a folder without a run"),
        ("gone.st", "no such file or folder"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            prepare(configured(given))
