"""Exported weights are those that the trained network computes with, to the bit."""

import json
import shutil
from itertools import product

import pytest
import torch
from deployed_files import predicted
from safetensors.torch import save_file
from tiers import quick, shown, tiered
from waves import save, waves

from blockwise.cli import main as cli
from blockwise.data import blank, load
from blockwise.deployed.file import FORMAT
from blockwise.experiment import export, exported
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.prepared import Prepared
from blockwise.integer.net import IntegerNet
from blockwise.quant.layers import QuantConv2d, QuantLinear
from blockwise.training import checkpoint
from devices.boards import profile
from devices.errors import InputError

pytestmark = pytest.mark.slow

RUN = ["--model", "cnn", "--width", "4", "--epochs", "1", "--batch-size", "64", "--quiet"]
BRIEF = ["--regimes", "bp", "bp-fused", "local", "--blocks", "2", "--head", "gap"]


@pytest.fixture(scope="module", params=quick(["lsq", "dorefa", "fp32"], "lsq"))
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / request.param
    assert cli.main([*RUN, *BRIEF, "--method", request.param, "--out", str(folder)]) in (0, 3)
    return folder


def trained_weights(folder, regime: str) -> dict[str, torch.Tensor]:
    config = outfolder.saved_config(folder)
    setup = Prepared(config, profile.load(config.board.device), blank((1, 8, 8), 10))
    chain, net = setup.build_parts()
    net.load_state_dict(checkpoint.load(folder / "checkpoints" / f"{regime}.pt", None)["net"])
    layers = (
        (name, m) for name, m in chain.units.named_modules() if isinstance(m, QuantConv2d | QuantLinear)
    )
    return {f"{name}.weight": m.weight_quantizer(m.weight).detach() for name, m in layers}


@pytest.mark.parametrize("regime", ["bp", "local", "bp-fused"])
def test_unpacked_weights_are_the_fake_quantized_ones_to_the_bit(run, regime, capsys):
    assert cli.main(["export", str(run), "--regime", regime]) == 0
    path = run / f"{regime}.safetensors"
    assert str(path) in capsys.readouterr().out
    tensors, header = exported.read(path)
    assert header["method"] == run.name
    expected = trained_weights(run, "bp" if regime == "bp-fused" else regime)
    assert bool(expected) == (run.name != "fp32")
    for name, weight in expected.items():
        assert torch.equal(tensors[name], weight)
    assert all(name in tensors for name in ("conv1.conv.weight", "classifier.linear.bias"))


@pytest.mark.parametrize("regime", ["bp", "local"])
def test_the_file_alone_predicts_as_well_as_the_run_tested(run, regime):
    result = json.loads((run / "result.json").read_text("utf-8"))
    accuracy = next(r["test_accuracy"] for r in result["regimes"] if r["regime"] == regime)
    written = export.export(run, regime, run / "alone.safetensors")
    again, images = exported.load(written.path), load("digits", seed=0)
    scores = again(images.test.images)
    assert int((scores.argmax(1) == images.test.labels).sum()) / len(images.test) == accuracy
    assert written.test_accuracy == accuracy == float(again.header["test_accuracy"])
    assert torch.equal(predicted(written.path, images.test.images), scores)
    assert again.classes == images.classes == tuple("0123456789")
    # by hand, of the training pixels
    pixels = images.train.images.double() / 255
    assert again.normalize.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert again.normalize.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist())
    header = json.loads(again.header["input"])
    assert header["shape"] == [1, 8, 8]
    by_hand = (pixels[:1] - header["mean"][0]) / header["std"][0]
    assert torch.allclose(images.normalize(images.train.images[:1]).double(), by_hand, atol=1e-6)


EXPORTED = ("ptq-mse", "lq-net", "twn", "inq", "apot", "uniq", "log2")
"""Methods whose weights are stored in ways of their own."""


@pytest.mark.parametrize("method", tiered(EXPORTED, ("ptq-mse", "twn"), ("lq-net", "inq", "log2")))
def test_files_of_other_methods_predict_as_well_as_the_run_tested(method, tmp_path, capsys):
    arguments = [*RUN, "--regimes", "bp", "--method", method, "--out", str(tmp_path / "run")]
    if method == "inq":
        arguments[arguments.index("--epochs") + 1] = "5"
    assert cli.main(arguments) in (0, 3)
    result = json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))
    again, images = exported.load(export.export(tmp_path / "run").path), load("digits", seed=0)
    right = (again(images.test.images).argmax(1) == images.test.labels).sum()
    assert int(right) / len(images.test) == result["regimes"][0]["test_accuracy"]


@pytest.mark.slow
def test_a_file_of_a_network_with_float_skip_paths_predicts_as_well_as_the_run_tested(tmp_path, capsys):
    folder = tmp_path / "run"
    arguments = ["--model", "resnet20", "--width", "2", "--epochs", "1", "--batch-size", "128", "--quiet"]
    more = ["--regimes", "bp", "--method", "dorefa", "--residual", "paper", "--out", str(folder)]
    assert cli.main([*arguments, *more]) in (0, 3)
    result = json.loads((folder / "result.json").read_text("utf-8"))
    assert result["config"]["residual"] == "float"
    assert "skip paths in float" in (folder / "report.html").read_text("utf-8")
    again, images = exported.load(export.export(folder).path), load("digits", seed=0)
    right = (again(images.test.images).argmax(1) == images.test.labels).sum()
    assert int(right) / len(images.test) == result["regimes"][0]["test_accuracy"]


def test_the_same_network_gives_the_same_bytes_and_another_version_is_named(run, tmp_path, capsys):
    first, again = (
        export.export(run, "bp", tmp_path / name).path for name in ("a.safetensors", "b.safetensors")
    )
    assert first.read_bytes() == again.read_bytes()
    again.write_bytes(first.read_bytes().replace(b"blockwise-3", b"blockwise-2"))
    capsys.readouterr()
    assert (
        cli.main(["--init", str(again), "--model", "cnn", "--width", "4", "--out", str(tmp_path / "x")]) == 2
    )
    told = capsys.readouterr().err
    assert "got format blockwise-2, wanted blockwise-3; export the run with this version" in told
    assert told.count("\n") == 1 and not (tmp_path / "x").exists()


def with_rows(folder, to, **changes):
    """A run whose result.json says other things of its regimes."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors"))
    result = json.loads((to / "result.json").read_text("utf-8"))
    for row in result["regimes"]:
        row.update(changes.get(row["regime"].replace("-", "_"), {}))
    (to / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return to


def test_by_default_the_most_accurate_regime_that_fits_is_exported(run, tmp_path, capsys):
    unfit = {"fits": False, "test_accuracy": 0.99}
    fit = {"fits": True, "test_accuracy": 0.5}
    folder = with_rows(run, tmp_path / "run", bp=unfit, bp_fused=unfit, local=fit)
    capsys.readouterr()
    assert cli.main(["export", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("local: the most accurate whose training fits ")
    assert "--regime takes another" in out
    assert exported.read(folder / "local.safetensors")[1]["regime"] == "local"
    none = with_rows(run, tmp_path / "none", bp=unfit | {"test_accuracy": 0.2}, bp_fused=unfit, local=unfit)
    assert export.export(none).regime == "bp-fused"
    capsys.readouterr()
    assert cli.main(["export", str(none)]) == 0
    assert capsys.readouterr().out.startswith("bp-fused: no training fits ")
    assert cli.main(["export", str(none), "--regime", "local"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("local: as asked for; its training does not fit ")
    assert "--regime takes another" not in out


def test_what_was_not_trained_to_the_end_is_refused(run, tmp_path, capsys):
    lost = {"test_accuracy": None, "training": None}
    folder = with_rows(run, tmp_path / "run", bp=lost)
    capsys.readouterr()
    assert cli.main(["export", str(folder), "--regime", "bp"]) == 2
    assert (
        "got bp, which was not trained to the end, wanted one of bp-fused, local" in capsys.readouterr().err
    )
    assert export.export(folder).regime != "bp"
    every = with_rows(run, tmp_path / "every", bp=lost, bp_fused=lost, local=lost)
    assert cli.main(["export", str(every)]) == 2
    assert "no regime was trained to the end" in capsys.readouterr().err
    old = json.loads((folder / "result.json").read_text("utf-8"))
    del old["data"]["mean"]
    (folder / "result.json").write_text(json.dumps(old), encoding="utf-8")
    assert cli.main(["export", str(folder)]) == 2
    assert "--resume" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("regime", shown(["niti-local", "niti", "niti4-local", "nitro-local"], "niti-local"))
def test_integers_predict_image_by_image_what_the_run_did(regime, tmp_path):
    folder = tmp_path / "run"
    arguments = ["--model", "plain4", "--width", "8", "--epochs", "1", "--batch-size", "64", "--quiet"]
    assert cli.main([*arguments, "--regimes", "bp", regime, "--out", str(folder)]) in (0, 3)
    best = {regime.replace("-", "_"): {"fits": True, "test_accuracy": 0.99}, "bp": {"fits": True}}
    written = export.export(with_rows(folder, tmp_path / "best", **best))
    assert written.regime == regime  # as the most accurate
    images = load("digits", seed=0).test
    config = outfolder.saved_config(folder)
    net = Prepared(config, profile.load(config.board.device), blank((1, 8, 8), 10)).build(regime)
    assert isinstance(net, IntegerNet)
    net.load_state_dict(checkpoint.load(folder / "checkpoints" / f"{regime}.pt", None)["net"])
    expected, scores = net.eval().each(images.images), predicted(written.path, images.images)
    assert torch.equal(scores, expected.double())
    row = json.loads((folder / "result.json").read_text("utf-8"))["regimes"][1]
    right = int((scores.argmax(1) == images.labels).sum()) / len(images)
    assert right == row["training"]["test_accuracy_one_by_one"] == written.test_accuracy


def test_codes_take_the_bits_that_the_header_tells(run):
    written = export.export(run, "bp", run / "w.safetensors")
    _, header = exported.read(written.path)
    codes = [step["codes"] for step in json.loads(header["steps"]) if "codes" in step]
    assert len(codes) == written.layers
    if codes:
        assert written.weight_bytes < written.weights  # of which each took 4 bytes
        assert {told["bits"] for told in codes} == ({3, 8} if run.name == "lsq" else {3})


def test_what_cannot_be_exported_is_told_in_one_line(run, tmp_path, capsys):
    def refusal(*arguments: str) -> str:
        assert cli.main(["export", *arguments]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err

    capsys.readouterr()
    assert "--out missing/w: got no folder missing" in refusal(str(run), "--out", "missing/w")
    assert "--out /proc/w: got " in refusal(str(run), "--out", "/proc/w")
    assert "--test-samples missing/w: got no folder missing" in refusal(
        str(run), "--test-samples", "missing/w"
    )
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert "got a name of the exported network, wanted two files" in refusal(
        str(run), "--test-samples", f"{run}/bp.safetensors"
    )
    files, flags = ("result.json", "config.json", "checkpoints/bp.pt"), ("--out", "--test-samples")
    for kept, flag in product(files, flags):
        told = refusal(str(run), flag, str(run / kept))
        assert "got a file of the run itself, wanted one of its own" in told
    both = str(tmp_path / "both.npz")
    told = refusal(str(run), "--out", both, "--test-samples", both)
    assert "got the file of --out, wanted two files" in told
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert "--regime: got the flag twice" in refusal(str(run), "--regime", "bp", "--regime", "local")
    assert "export" in (nowhere := refusal(str(tmp_path / "nowhere")))
    assert "no such folder" in nowhere
    assert "--resume" not in nowhere
    assert "got 'bp-best', wanted one of bp, bp-fused, local" in refusal(str(run), "--regime", "bp-best")
    twin = tmp_path / "twin"
    shutil.copytree(run, twin, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((twin / "config.json").read_text("utf-8"))
    config["quantization"]["method"] = "dorefa" if run.name == "lsq" else "lsq"
    (twin / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "the state of another network or method" in refusal(str(twin))
    shutil.rmtree(twin / "checkpoints")
    assert "got no such file, wanted that of a finished run" in refusal(str(twin))
    (twin / "result.json").unlink()
    assert "got a run that is not finished" in refusal(str(twin))
    assert not (twin / "bp.safetensors").exists()
    assert "PATH: got nothing, wanted the folder of the run; see --help" in refusal()
    for number, facts in enumerate(({}, {"steps": "{"}, {"steps": "[]"}, {"steps": "[]", "input": "{}"})):
        save_file({}, tmp_path / f"damaged{number}", metadata={"format": FORMAT, **facts})
        with pytest.raises(InputError, match="got a damaged header"):
            exported.load(tmp_path / f"damaged{number}")
    (tmp_path / "torn").write_bytes(b"123")
    with pytest.raises(Exception, match="wanted a safetensors file"):
        exported.read(tmp_path / "torn")


def test_a_network_of_signals_predicts_measured_values_by_the_scaling_of_its_training(tmp_path, capsys):
    arrays, folder = waves(), tmp_path / "run"
    data = str(save(tmp_path / "waves.npz", arrays))
    arguments = [
        "--data",
        data,
        "--model",
        "mlp",
        "--width",
        "16",
        "--epochs",
        "2",
        "--regimes",
        "bp",
        "--quiet",
    ]
    assert cli.main([*arguments, "--out", str(folder)]) in (0, 3)
    result = json.loads((folder / "result.json").read_text("utf-8"))
    again = exported.load(export.export(folder).path)
    found = load(data, seed=0)
    assert again.scaling == found.scaling
    assert result["data"]["low"] == list(found.scaling.low) == json.loads(again.header["input"])["low"]
    assert result["data"]["groups"]["test"] == ["8", "9"]
    right = again(torch.from_numpy(arrays["x_test"])).argmax(1) == torch.from_numpy(arrays["y_test"])
    assert int(right.sum()) / len(right) == result["regimes"][0]["test_accuracy"]
    assert torch.equal(again(torch.from_numpy(arrays["x_test"])), again(found.test.images))
