"""A float step in C, its arena filled with what is no number, against PyTorch's from the same state."""

from itertools import combinations, product

import pytest
import torch
from float_firmware import compare, predictions
from one_step import MEAN, OneStep, normalize
from own_modules import Scaled, SumOfThree
from tiers import quick, shown
from torch.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    LeakyReLU,
    Linear,
    ReLU,
    ReLU6,
    Sequential,
)
from torch.nn.functional import conv2d

from blockwise.firmware.phases import BEGINNING, END, phases
from devices.program.distillation import Distillation

METHODS = ("fp32", "lsq")
REGIMES = ("bp", "local", "local-resident")
NORMS = ("batch", "batch-recompute", "group", "frozen", "none")
MODELS = ("resnet8", "plain4", "cnn")
TOLERANCE = 1e-5
"""Of the length of the update."""
MOST_FLIPS = 1e-3
"""Of all codes: a value may lie within a few units in the last place of a threshold."""

CHOICES = {
    "method": METHODS, "regime": REGIMES, "optimizer": ("sgd", "sgd-momentum"), "norm": NORMS,
    "model": MODELS,
}  # fmt: skip


def all_pairs():
    """Settings in which every two choices occur together: greedily, in a fixed order."""
    names = list(CHOICES)
    missing = {
        ((a, x), (b, y)) for a, b in combinations(names, 2) for x, y in product(CHOICES[a], CHOICES[b])
    }
    rows = [dict(zip(names, values, strict=True)) for values in product(*CHOICES.values())]
    found = []
    while missing:
        row = max(rows, key=lambda r: len(missing.intersection(combinations(r.items(), 2))))
        missing -= set(combinations(row.items(), 2))
        found.append(row)
    return found


PAIRS = ["-".join(row.values()) for row in all_pairs()]
ROWS = dict(zip(PAIRS, all_pairs(), strict=True))


def check(folder, **settings):
    found = compare(folder, **settings)
    assert found.error < TOLERANCE, found.worst
    assert found.flips <= MOST_FLIPS * found.codes
    return found


PARTS = [
    {"regime": "bp", "train": "last:1", "method": "lsq", "frozen": "flash"},
    {"regime": "bp", "train": "last:2", "method": "fp32", "norm": "none"},
    {"regime": "local", "train": "blocks:2", "method": "lsq"},
    {"regime": "local-resident", "train": "head", "method": "lsq", "frozen": "flash"},
]
BEHIND = [  # frozen layers pass errors back, activations among them
    {"regime": "bp", "train": "bias", "method": "lsq", "model": "cnn"},
    {"regime": "bp", "train": "stem*", "method": "fp32"},
    {"regime": "bp", "train": "blocks:1", "method": "lsq", "model": "cnn", "frozen": "flash", "blocks": "2"},
    {"regime": "local", "train": "bias", "method": "fp32", "norm": "group"},
    {"regime": "local-resident", "train": "*conv1", "method": "lsq"},
    {"regime": "bp", "train": "bias", "method": "lsq", "norm": "none", "model": "mlp"},
]


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["local", "local-resident"])
def test_so_it_is_where_a_head_reads_weights_of_the_next_block(regime, tmp_path):
    check(tmp_path, regime=regime, method="lsq", model="resnet8", head="lookahead-shared:4")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_so_it_is_where_the_last_block_teaches_the_others(method, tmp_path):
    check(tmp_path, regime="local", method=method, model="resnet8", distillation=Distillation(3.0, 0.3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [*PARTS[:2], *BEHIND[:2], *(pytest.param(p, marks=pytest.mark.long) for p in (*PARTS[2:], *BEHIND[2:]))],
    ids=lambda part: f"{part['regime']} {part['train']}",
)
def test_so_it_is_of_a_part_of_the_network(part, tmp_path):
    found = check(tmp_path, **{"model": "resnet8", "blocks": "stages"} | part)
    schedule = found.program.schedule
    assert (schedule.mapped_bytes > 0) == ("frozen" in part)


@pytest.mark.slow
def test_a_board_predicts_through_what_lies_in_flash(tmp_path):
    part = {"regime": "bp", "train": "last:1", "frozen": "flash", "method": "lsq"}
    classes, board, logits = predictions(tmp_path, 6, model="resnet8", blocks="stages", **part)
    assert torch.equal(classes, logits.argmax(1))
    assert torch.allclose(board, logits, atol=1e-4)


SHARES = {  # the mlp reads flattened maps, of one of which a few pixels' weights are trained
    "bp cnn": {"regime": "bp", "model": "cnn", "method": "lsq", "frozen": "flash"},
    "bp mlp": {"regime": "bp", "model": "mlp", "method": "fp32", "norm": "none", "in_shape": (3, 5, 7)},
    "local-resident cnn": {"regime": "local-resident", "model": "cnn", "method": "lsq"},
    "bp vgg8b": {"regime": "bp", "model": "vgg8b", "method": "lsq", "in_shape": (3, 9, 14)},
    "bp-fused ds-cnn": {"regime": "bp-fused", "model": "ds-cnn", "method": "lsq", "in_shape": (1, 12, 10)},
    "local resnet8": {"regime": "local", "model": "resnet8", "method": "fp32", "norm": "group"},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", shown(SHARES, "bp cnn", "bp mlp", "local-resident cnn"))
def test_so_it_is_of_shares_of_channels(case, tmp_path):
    path = tmp_path / "part.toml"
    path.write_text('biases = "all"\n[weights]\n"*" = {inputs = 0.6, outputs = 0.5}\n')
    found = check(tmp_path, train=f"sparse:{path}", **SHARES[case])
    assert any(layer.is_shared for layer in found.program.schedule.layers.values())


ALONG = {
    "image by image": {"regime": "zo", "model": "cnn", "method": "lsq", "norm": "none"},
    "by the batch": {"regime": "zo", "model": "resnet8", "method": "fp32", "norm": "batch"},
    "flat": {"regime": "zo", "model": "mlp", "method": "fp32", "norm": "none", "in_shape": (3, 5, 7)},
    "with gradients behind": {"regime": "zo-hybrid", "model": "cnn", "method": "lsq", "norm": "group"},
}
"""Directions are drawn of the step's number, so both sides begin with the first."""


@pytest.mark.slow
@pytest.mark.parametrize("part", shown(["all", "share"], "share"))
@pytest.mark.parametrize("case", shown(ALONG, "image by image", "flat", "with gradients behind"))
def test_so_it_is_along_random_directions(case, part, tmp_path):
    path = tmp_path / "part.toml"
    path.write_text('biases = "all"\n[weights]\n"*" = {inputs = 0.6, outputs = 0.5}\n')
    train = f"sparse:{path}" if part == "share" else part
    found = check(tmp_path, steps=2, before=0, train=train, **ALONG[case])
    changed = [name for name, value in found.after.items() if not torch.equal(value, found.start[name])]
    assert any(name.endswith(".weight") for name in changed)


@pytest.mark.slow
def test_a_gradient_passes_a_relu6_only_between_its_limits(tmp_path):
    """Weights are so large that many values lie above 6."""
    torch.manual_seed(0)
    network = Sequential(Conv2d(1, 4, 3), ReLU6(), AdaptiveAvgPool2d(1), Flatten(), Linear(4, 3))
    with torch.no_grad():
        network[0].weight.mul_(20)
        made = network[0](normalize(torch.randint(0, 256, (4, 1, 8, 8))))
    assert (made > 6).float().mean() > 0.2
    check(tmp_path, model=network, norm="none", head="gap", blocks="1")


QUICK = {
    "global": {"regime": "bp", "model": "plain4", "method": "fp32"},
    "one by one": {"regime": "local-resident", "model": "resnet8", "method": "lsq"},
}


@pytest.mark.parametrize("case", QUICK)
def test_a_step_in_c_is_that_of_pytorch(case, tmp_path):
    found = check(tmp_path, **QUICK[case])
    assert (found.codes > 0) == (QUICK[case]["method"] == "lsq")


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.slow
@pytest.mark.long
def test_so_it_is_of_every_pair_of_settings(pair, tmp_path):
    check(tmp_path, **ROWS[pair])


@pytest.mark.slow
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.slow
@pytest.mark.long
def test_so_it_is_of_resnet20(regime, tmp_path):
    check(tmp_path, regime=regime, model="resnet20", method="lsq", batch=2, blocks="3", width=8)


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(1, 1), (2, 8), (5, 7), (8, 2), (16, 16)], ids=str)
@pytest.mark.slow
@pytest.mark.long
def test_so_it_is_of_other_bits(widths, tmp_path):
    for model in ("cnn", "resnet8"):
        check(tmp_path / model, regime="local-resident", model=model, method="lsq", widths=widths)


@pytest.mark.slow
@pytest.mark.parametrize("model", shown(["mlp", "vgg8b", "plain6"], "mlp", "plain6"))
def test_so_it_is_of_other_networks_and_of_images_in_colour(model, tmp_path):
    """Sides are odd; flattened images and maps are read as they lie."""
    settings = {"in_shape": (3, 9, 14), "head": "pred", "norm": "batch"}
    for method in METHODS:
        check(tmp_path / method, regime="local", model=model, method=method, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("regime", shown(REGIMES, "local-resident"))
def test_so_it_is_where_skip_paths_hold_floats(regime, tmp_path):
    check(tmp_path, regime=regime, model="resnet8", method="lsq", residual="float", head="gap")


@pytest.mark.slow
def test_so_it_is_where_gradients_wait_for_the_end_of_the_step(tmp_path):
    check(tmp_path, regime="bp", model="resnet8", method="lsq", fused=False)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_steps_of_a_block_are_repeated_and_its_state_outlives_them(norm, tmp_path):
    """The finished blocks before it are run in each of them, in bytes that its state must not share."""
    check(tmp_path, regime="local-resident", model="cnn", method="fp32", norm=norm, steps=3)


@pytest.mark.slow
def test_a_sum_that_is_zero_but_for_rounding_passes_a_gradient_as_it_does_on_the_board(tmp_path):
    """One sum of the first layer is zero in exact arithmetic, above it in one order and below in another."""
    settings = {"regime": "bp", "model": "plain6", "method": "lsq", "head": "pred", "in_shape": (3, 11, 13)}
    step = OneStep(**settings)
    updater = step.updater(step.net)
    step.simulated(step.net, updater, step.procedure.phases(step.net)[0])
    conv = step.chain.units["conv1"].conv
    codes = conv.weight_quantizer.codes(conv.weight.detach()).double() + conv.weight_quantizer.low
    pixels, ones = step.images.double(), torch.ones_like(step.images).double()
    mean = round(255 * MEAN)  # that normalizing takes from each byte, as a whole number of them
    sums = conv2d(pixels, codes, padding=1) - mean * conv2d(ones, codes, padding=1)
    assert int((sums == 0).sum()) == 1
    found = check(tmp_path, **settings)
    assert found.masks >= 1 and found.flips == 0


FAULTS = {
    "rounding toward zero": ("exact.h", "return (x + shift) - shift;", "(void)shift; return (float)(int)x;"),
    "a padded edge": ("convolution.h", "(unsigned)at < (unsigned)size", "at >= 0 && at + 1 < size"),
    "momentum of before": ("updates.h", "return value - rate * (g + momentum * moment);",
                           "return value - rate * moment;"),
    "a step's sign": ("lsq.h", "quantized - v : quantized", "v - quantized : quantized"),
    "variance for mean": ("norms.h", "y, x, c) - by.mean", "y, x, c) - by.variance"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", quick(FAULTS, "rounding toward zero"))
def test_a_fault_in_one_kernel_is_found(fault, tmp_path):
    found = compare(tmp_path, regime="bp", model="cnn", method="lsq", norm="batch", fault=FAULTS[fault])
    assert found.error > 100 * TOLERANCE


@pytest.mark.parametrize("regime", quick(REGIMES, "local-resident"))
@pytest.mark.slow
@pytest.mark.long
def test_a_board_predicts_image_by_image_what_pytorch_predicts(regime, tmp_path):
    """From packed blocks, or from latent weights by running statistics; few codes may flip at thresholds."""
    cases = (("lsq", "batch", "resnet8"), ("fp32", "group", "cnn"), ("lsq", "none", "plain4"))
    for method, norm, model in cases:
        settings = {"regime": regime, "method": method, "norm": norm, "model": model}
        classes, board, logits = predictions(tmp_path / method / norm, 64, **settings)
        assert torch.equal(classes, board.argmax(1))
        apart = (board - logits).abs().amax(1) > 1e-5 * logits.abs().amax()
        assert apart.sum() <= (2 if method == "lsq" else 0)


@pytest.mark.parametrize("method", METHODS)
def test_what_lives_when_a_step_begins_lives_until_the_step_ends(method):
    for regime in REGIMES:
        schedule = OneStep(regime, model="resnet8", method=method).plan
        for phase in phases(schedule):
            assert not {schedule.operations[i].action for i in phase.step} & (BEGINNING | END)
            for name, (first, last) in schedule.lifetimes.items():
                assert not first < phase.step.start <= last or last >= phase.step.stop - 1, (regime, name)


def test_phases_are_those_of_the_blocks():
    step = OneStep("local-resident", model="resnet8", method="lsq")
    found, operations = phases(step.plan), step.plan.operations
    assert len(found) == len(step.net)
    assert [i for phase in found for part in (phase.begin, phase.step, phase.end) for i in part] == list(
        range(len(operations))
    )
    for phase in found:
        assert {operations[i].action for i in phase.begin} <= {"deployed network", "unpack"}
        assert {operations[i].action for i in phase.end} <= {"deployed network", "pack"}
        assert operations[phase.step.start].action == "load batch"
    assert len(phases(OneStep("local", method="lsq").plan)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("regime", ["bp", "local"])
def test_a_gradient_that_is_read_yet_is_not_written_over(regime, method, tmp_path):
    check(tmp_path, model=SumOfThree(), regime=regime, method=method, norm="none", head="gap", blocks="1")


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["local", "local-resident"])
def test_the_loss_of_an_output_layer_that_learns_alone_has_its_published_weight(regime, tmp_path):
    """Under predsim a hundredth of it; the blocks before have no heads here, which have no form in C."""
    found = check(
        tmp_path, regime=regime, model="cnn", norm="none", head="predsim", blocks="each", train="head"
    )
    assert found.program.firmware.arithmetic.loss_weights == {"classifier.head.loss": pytest.approx(0.01)}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_norm_without_a_pair_is_folded(method, tmp_path):
    network = Sequential(Conv2d(1, 4, 3), BatchNorm2d(4, affine=False), ReLU(), Flatten(), Linear(144, 3))
    given = {"model": network, "regime": "local-resident", "method": method, "head": "gap", "blocks": "1"}
    check(tmp_path / "steps", **given)
    classes, board, logits = predictions(tmp_path / "predictions", 6, **given)
    assert torch.equal(classes, board.argmax(1))
    assert torch.allclose(board, logits, atol=1e-4)


@pytest.mark.slow
def test_a_zero_that_is_quantized_with_its_sign_has_no_gradient(tmp_path):
    check(tmp_path, model=Scaled(), method="lsq", norm="none", head="gap", blocks="1")


FLAT = {
    "conv": Sequential(Conv2d(1, 4, 3, 2), Flatten(), Linear(36, 10)),
    "conv and norm": Sequential(Conv2d(1, 4, 3, 2), BatchNorm2d(4), Flatten(), Linear(36, 10)),
}


@pytest.mark.slow
@pytest.mark.parametrize("network", FLAT)
def test_a_board_predicts_of_maps_that_are_flattened_as_they_are(network, tmp_path):
    """No activation stands between: each code is made by the filter of its channel, not of its feature."""
    given = {"model": FLAT[network], "norm": "batch", "head": "gap", "blocks": "1"}
    classes, board, logits = predictions(tmp_path, 6, regime="bp", method="lsq", **given)
    assert torch.equal(classes, logits.argmax(1))
    assert torch.allclose(board, logits, atol=1e-4)


@pytest.mark.slow
def test_a_step_along_directions_goes_through_maps_that_are_flattened_as_they_are(tmp_path):
    check(
        tmp_path, model=FLAT["conv"], regime="zo", method="lsq", norm="none", head="gap", blocks="1", before=0
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_leaky_relu_has_its_slope_at_zero(method, tmp_path):
    """Codes are zero where what they stand for lay near it, and passes its gradient."""
    network = Sequential(
        Conv2d(1, 4, 3), ReLU(), LeakyReLU(0.2), AdaptiveAvgPool2d(1), Flatten(), Linear(4, 3)
    )
    check(tmp_path, model=network, method=method, norm="none", head="gap", blocks="1")
