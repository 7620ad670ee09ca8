"""Micro-batches end where the whole batch ends, to the rounding of float64; or the note tells why not."""

from dataclasses import replace

import pytest
import torch
from tiers import quick, shown

from blockwise.experiment import trainer
from blockwise.experiment.compare import compare
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)

pytestmark = pytest.mark.slow

STEPS, BATCH, MICRO = 4, 16, 4


def setup(
    regime: str, method: str = "lsq", norm: str = "none", model: str = "cnn", micro: int = MICRO
) -> Prepared:
    made = prepare(
        Config(
            network=NetworkSettings(model, 4, head="gap", norm=norm),
            images=ImageSettings("digits"),
            quantization=QuantizationSettings(method),
            training=TrainingSettings((regime,), epochs=1, batch_size=BATCH, lr=0.05, micro_batch=micro),
            output=OutputSettings(dry_run=True),
        )
    )
    few = made.dataset.train.select(torch.arange(STEPS * BATCH))
    return replace(made, dataset=replace(made.dataset, train=few))


def ended(regime: str, method: str, norm: str, first: int = BATCH) -> dict[str, torch.Tensor]:
    """The state after a training in float64 that starts from the first so many images of the first batch."""
    made = setup(regime, method, norm)
    run = trainer.run_of(made, regime, trainer.options_of(made, regime))
    run.net.double()
    normalize, inputs = run.inputs, run._inputs
    run.inputs = run.selection.inputs = lambda images: normalize(images).double()
    prepare = run._prepare

    def shortened(phase, cache):
        run._inputs = lambda *args: ((x[:first], y[:first]) for x, y in inputs(*args))
        prepare(phase, cache)
        run._inputs = inputs

    run._prepare = shortened
    run.train()
    return {name: value for name, value in run.net.state_dict().items() if value.is_floating_point()}


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """The largest, relative to the largest value of its tensor."""
    return max(float((a[n] - b[n]).abs().max() / a[n].abs().max().clamp_min(1e-9)) for n in a)


@pytest.mark.parametrize("norm", shown(["none", "frozen", "group"], "group", "frozen"))
@pytest.mark.parametrize(
    "method",
    quick(["fp32", "lsq", "lsq-plus", "dsq", "centroids", "quant-noise", "uniq"], "lsq", "quant-noise"),
)
def test_accumulated_steps_end_where_steps_of_the_whole_batch_end(method, norm):
    """Weights that are quantized with noise have the same noise in every micro-batch of a step."""
    assert distance(ended("bp", method, norm), ended("bp-micro", method, norm)) < 1e-12


@pytest.mark.parametrize(("method", "norm"), [("lsq", "none"), ("fp32", "frozen")])
def test_a_start_from_the_first_micro_batch_would_end_elsewhere(method, norm):
    assert distance(ended("bp", method, norm), ended("bp-micro", method, norm, first=MICRO)) > 1e-3


def note(**settings: object) -> str:
    rows = {row.regime: row.note for row in compare(setup("bp", **settings)).baselines}
    return rows["bp-micro"].partition("; ")[2] or rows["bp-micro"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"norm": "batch"}, "batch norm sees 4 images at a time: other results than bp"),
        (
            {"norm": "batch-recompute", "micro": 2},
            "batch norm sees 2 images at a time: other results than bp",
        ),
        ({"norm": "batch", "model": "plain4", "micro": 1}, "the gradients of bp"),
        ({"norm": "group"}, "the gradients of bp"),
        ({"norm": "frozen"}, "the gradients of bp"),
        ({"norm": "none", "method": "uniq"}, "the gradients of bp"),
        ({"norm": "none", "micro": BATCH}, "one micro-batch: as bp-best"),
        (
            {"norm": "none", "method": "lq-net", "micro": 1},
            "lq-net, whose levels follow the activations, sees 1 image at a time: other results than bp",
        ),
        (
            {"norm": "batch", "method": "lq-net"},
            "batch norm and lq-net, whose levels follow the activations, see 4 images at a time: "
            "other results than bp",
        ),
    ],
)
def test_the_note_names_what_sees_micro_batches_and_nothing_else(settings, told):
    assert note(**settings) == told


def test_weights_follow_the_data_once_a_step():
    """LQ-Net's weights move as in one pass of the whole batch, however many micro-batches there are."""
    ends = []
    for regime in ("bp", "bp-micro"):
        made = setup(regime, "lq-net")
        run = trainer.run_of(made, regime, trainer.options_of(made, regime))
        phase = run.phases[0]
        run._prepare(phase, None)
        x, y = next(run._inputs(phase, None))
        run._mode(phase)
        run.regime.step(run.net, phase, x, y)
        ends.append({n: v for n, v in run.net.state_dict().items() if n.endswith("weight_quantizer.basis")})
    assert ends[0]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
