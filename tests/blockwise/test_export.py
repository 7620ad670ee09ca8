"""Exported weights are those that the trained network computes with, to the bit."""

import json
import shutil

import pytest
import torch

from blockwise import cli, export, outfolder
from blockwise.data import blank
from blockwise.quant.layers import QuantConv2d, QuantLinear
from blockwise.setup import Setup
from blockwise.training import checkpoint
from devices import profile

RUN = ["--model", "cnn", "--width", "4", "--epochs", "1", "--batch-size", "64", "--quiet"]
BRIEF = ["--regimes", "bp", "bp-fused", "local", "--blocks", "2", "--head", "gap"]


@pytest.fixture(scope="module", params=["lsq", "dorefa", "fp32"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / request.param
    assert cli.main([*RUN, *BRIEF, "--method", request.param, "--out", str(folder)]) in (0, 3)
    return folder


def trained_weights(folder, regime: str) -> dict[str, torch.Tensor]:
    config = outfolder.saved_config(folder)
    setup = Setup(config, profile.load(config.board.device), blank((1, 8, 8), 10))
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
    tensors, header = export.read(path)
    assert header["method"] == run.name
    expected = trained_weights(run, "bp" if regime == "bp-fused" else regime)
    assert bool(expected) == (run.name != "fp32")
    for name, weight in expected.items():
        assert torch.equal(tensors[name], weight)
    assert all(name in tensors for name in ("conv1.conv.weight", "classifier.linear.bias"))


def test_codes_take_the_bits_that_the_header_tells(run):
    written = export.export(run, "bp", run / "w.safetensors")
    _, header = export.read(written.path)
    layers = json.loads(header["layers"])
    assert len(layers) == written.layers
    if layers:
        assert written.file_bytes < 4 * written.weights + 10_000
        assert {layer["bits"] for layer in layers.values()} == ({3, 8} if run.name == "lsq" else {3})


def test_what_cannot_be_exported_is_told_in_one_line(run, tmp_path, capsys):
    def refusal(*arguments: str) -> str:
        assert cli.main(["export", *arguments]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err

    capsys.readouterr()
    assert "--out missing/w: got no folder missing" in refusal(str(run), "--out", "missing/w")
    assert "--out /proc/w: got " in refusal(str(run), "--out", "/proc/w")
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
    assert "wanted a finished run" in refusal(str(twin))
    assert not (twin / "bp.safetensors").exists()
    assert "got nothing, wanted a value" in refusal()
    (tmp_path / "torn").write_bytes(b"123")
    with pytest.raises(Exception, match="wanted a safetensors file"):
        export.read(tmp_path / "torn")
