"""torchvision's classifiers on meta tensors: published sizes, sound cuts, and clear refusals."""

import json

import numpy as np
import pytest
import torch
from tiers import quick, shown

import devices
from blockwise import models
from blockwise.cli import main as cli
from blockwise.layers.norms import NORMS
from devices.errors import InputError
from devices.network import LABELS

PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
    "efficientnet_b0": 5_288_548,
    "mobilenet_v3_small": 2_542_856,
}
"""Parameters as torchvision documents them, for 1,000 classes."""


@pytest.fixture(scope="module", params=quick(PUBLISHED, "resnet18"))
def chain(request):
    return models.build(f"torchvision:{request.param}", (3, 224, 224), 1000)


def test_parameters_are_those_that_torchvision_documents_and_no_weight_is_allocated(chain):
    network = chain.describe(blocks="residual", head="gap")
    assert network.parameters == PUBLISHED[chain.name.removeprefix("torchvision:")]
    assert all(p.is_meta for p in chain.parameters())


def test_units_compose_to_the_network_and_only_their_outputs_cross_a_cut(chain):
    x = torch.empty(2, 3, 224, 224, device="meta")
    assert chain.eval()(x).shape == (2, 1000)
    network = chain.describe(blocks="residual", head="gap")
    for before, block in zip((None, *network.blocks), network.blocks, strict=False):
        inside = {layer.name for layer in (*block.layers, *block.head)}
        outside = {name for layer in block.layers for name in layer.inputs} - inside - {LABELS}
        assert outside == {before.output if before else network.source}
    names = [layer.name for layer in network.all_layers]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("regime", shown(["bp", "bp-checkpoint", "local-resident"], "bp", "local-resident"))
def test_every_network_has_a_plan_whose_arena_is_within_a_thousandth_of_the_bound(chain, regime):
    plan = devices.plan(chain, "stm32n657", regime=regime, blocks="stages", head="gap")
    assert plan.peak_bytes > plan.by_category["latent weights"] > 0
    assert plan.peak_bytes <= plan.arena.height <= 1.001 * plan.peak_bytes


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_is_planned_on_meta_tensors_too(norm):
    chain = models.build("torchvision:resnet18", (3, 32, 32), 10, norm=norm)
    assert all(t.is_meta for t in (*chain.parameters(), *chain.buffers()))
    plan = devices.plan(chain, "stm32", regime="local", batch_size=2, blocks="stages", head="gap")
    assert plan.peak_bytes > 0  # of two images: its last maps have one pixel


def test_images_of_other_channels_are_taken():
    chain = models.build("torchvision:resnet18", (1, 32, 32), 10)
    assert chain.describe(blocks="stages", head="gap").layers[0].weights == 64 * 1 * 7 * 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--model torchvision:resnet1", "torchvision model: got 'resnet1'"),
        ("--model torchvision:vit_b_16 --in-shape 3 32 48", "got AssertionError: Wrong image width!"),
        ("--model torchvision:vit_b_16 --in-shape 3 40 40", "got AssertionError: Input shape indivisible"),
        ("--model torchvision:swin_t --in-shape 3 64 64", "got the operation 'shifted_window_attention'"),
        ("--model torchvision:alexnet --in-shape 3 8 8", "alexnet on 3x8x8: got RuntimeError"),
        (
            "--model torchvision:resnet18 --width 4",
            "--width: got 4 with torchvision:resnet18, wanted a network with a multiplier",
        ),
        ("--model torchvision:resnet18 --in-shape 3 0 8", "--in-shape: got 0"),
        ("--model resnet20x", "model: got 'resnet20x'"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_line(arguments, message, capsys, tmp_path):
    assert cli.main([*arguments.split(), "--dry-run", "--out", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert not (tmp_path / "run").exists()


def test_what_is_only_planned_is_not_trained(capsys):
    assert cli.main(["--in-shape", "3", "8", "8"]) == 2
    assert "wanted a dry run" in capsys.readouterr().err


def test_a_width_that_torchvision_does_not_have_is_an_input_error():
    with pytest.raises(InputError, match="--width"):
        models.build("torchvision:resnet18", width=4)


@pytest.mark.slow
def test_a_network_of_torchvision_is_trained_when_it_is_asked_for(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (192, 1, 32, 32), dtype=np.uint8), np.arange(192) % 10
    np.savez(tmp_path / "few.npz", x_train=x[:128], y_train=y[:128], x_test=x[128:], y_test=y[128:])
    arguments = (
        f"--model torchvision:squeezenet1_1 --data {tmp_path / 'few.npz'} --regimes bp local --blocks 2 "
        "--head gap --epochs 1 --batch-size 32 --method lsq --device stm32n657 --json --quiet"
    )
    assert cli.main([*arguments.split(), "--out", str(tmp_path / "run")]) in (0, 3)
    found = json.loads(capsys.readouterr().out)
    assert [row["regime"] for row in found["regimes"]] == ["bp", "local"]
    assert all(0 <= row["test_accuracy"] <= 1 for row in found["regimes"])
