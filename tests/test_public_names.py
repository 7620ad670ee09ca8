"""The names that scripts use, and their signatures: whoever changes one changes this file."""

import inspect
import json
import runpy
import sys
from pathlib import Path

import pytest

import blockwise
import devices
from blockwise import heads, models, quant, report

ROOT = Path(__file__).parents[1]
SIGNATURES = {
    "blockwise.plan": "(network, board='stm32', *, regime='bp', in_shape=None, classes=None, **settings)",
    "blockwise.train": "(network, board='stm32', *, data='digits', regimes=('bp', 'bp-best', 'local', "
    "'local-paged', 'local-resident'), out=None, **settings)",
    "blockwise.write_firmware": "(network, board='stm32', *, out, data='digits', regime='local-resident', "
    "check=0, save_every=None, **settings)",
    "blockwise.from_module": "(module, in_shape)",
    "blockwise.models.build": "(name, in_shape=(3, 32, 32), num_classes=10, width=None, norm='batch', "
    "style=PLAIN, *, trained=False)",
    "blockwise.quant.make": "(name, bits=3, role='weight', shape=())",
    "blockwise.quant.quantize": "(model, by, weight_bits=None, activation_bits=None, residual='codes')",
    "blockwise.heads.make": "(name, in_shape, num_classes=10, width=None, *, norm='batch', ahead=None)",
    "devices.load": "(name_or_path)",
    "devices.catalogue": "()",
}
DEVICES_PLAN = {
    "regime": "bp", "batch_size": 1, "optimizer": "sgd-momentum", "weight_bits": 3, "activation_bits": 3,
    "edge_bits": 8, "residual": "codes", "update": None, "micro_batch": 1, "requantize": "buffered",
    "blocks": "auto", "head": "lookahead",
}  # fmt: skip
OWN = {"blockwise": blockwise, "devices": devices, "models": models, "quant": quant, "heads": heads}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_function_that_scripts_call_has_its_arguments_and_defaults(name):
    *path, function = name.split(".")
    found = inspect.signature(getattr(OWN[path[-1]], function))
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    told = str(inspect.Signature(bare)).replace(str(models.PLAIN), "PLAIN")
    assert told == SIGNATURES[name]


def test_devices_plan_takes_a_model_a_device_and_settings_by_name():
    found = inspect.signature(devices.plan).parameters
    assert list(found)[:2] == ["model", "device"]
    assert {name: found[name].default for name in DEVICES_PLAN} == DEVICES_PLAN
    assert all(found[name].kind is inspect.Parameter.KEYWORD_ONLY for name in DEVICES_PLAN)


def test_the_packages_say_what_is_public():
    assert blockwise.__all__ == [
        "InputError",
        "__version__",
        "from_module",
        "plan",
        "train",
        "write_firmware",
    ]
    assert set(blockwise.__all__) <= set(dir(blockwise))
    assert {
        "Block",
        "Device",
        "Layer",
        "Ledger",
        "Moment",
        "Network",
        "Plan",
        "catalogue",
        "load",
        "plan",
    } <= set(devices.__all__)
    assert all(hasattr(devices, name) for name in devices.__all__)


def test_what_scripts_read_off_a_plan_is_there():
    plan = devices.plan(models.build("cnn", (1, 8, 8), width=4), "stm32", batch_size=2)
    assert sum(plan.by_category.values()) == plan.peak_bytes == max(m.live_bytes for m in plan.timeline)
    assert plan.fits is True
    assert {moment.operation.phase for moment in plan.timeline} == {"load", "forward", "backward", "update"}


def test_what_scripts_make_computes():
    import torch

    x = torch.randn(4, 1, 8, 8)
    assert models.build("cnn", (1, 8, 8), width=4)(x).shape == (4, 10)
    assert quant.make("lsq", 3)(x).unique().numel() <= 8
    assert heads.make("gap", (1, 8, 8))(x, torch.zeros(4, dtype=torch.long)).ndim == 0


JSON = {
    "assumptions", "baselines", "config", "created", "data", "device", "environment", "files", "fits",
    "model", "paper", "regimes", "schema_version", "seconds", "seed",
}  # fmt: skip
JSON_REGIME = {
    "arena", "by_category", "fits", "host", "macs_per_step", "obstacle_by_batch", "paging", "peak_block",
    "peak_by_batch", "peak_by_block", "peak_bytes", "peak_operation", "peak_phase", "regime",
    "tensors_at_peak", "test_accuracy", "timeline", "trained_as", "training", "update",
}  # fmt: skip


def test_run_py_prints_json_of_these_names(tmp_path, monkeypatch, capsys):
    flags = ["--model", "cnn", "--width", "4", "--regimes", "bp", "--dry-run", "--json"]
    monkeypatch.setattr(sys, "argv", ["run.py", *flags, "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "run.py"), run_name="__main__")
    assert stop.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema_version"] == 2
    assert set(told) >= JSON
    (row,) = told["regimes"]
    assert set(row) >= JSON_REGIME
    assert sum(row["by_category"].values()) == row["peak_bytes"]


def test_no_rendering_has_the_name_of_a_file_which_would_stand_in_its_place_once_it_is_imported():
    files = {path.stem for path in Path(report.__file__).parent.iterdir()}
    assert not files & set(report.__all__)
