"""Training on integers alone: accuracy on the bundled digits, and the time of a step beside float32.

    python benchmarks/integer.py [--seeds 0 1 2] [--rounds 9] [--record]

Every integer regime trains plain4 at width 16 on the digits, the epoch chosen on validation images.
The step of plain6 at width 16, batch 64, 3x32x32, is timed against the float32 step of the same net in
the same rounds. Everything is kept in integer.json.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import output
import torch

from blockwise import models
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.provenance import environment
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.experiment.trainer import options_of, run_of
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.net import IntegerNet
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import ALL_REGIMES, TrainOptions
from blockwise.training.features import LAYOUT
from blockwise.training.numerics import numerics_of
from devices.program.regimes import INTEGER_REGIMES, Step, find

EPOCHS, BATCH = 10, 32
TIMED_BATCH, TIMED_SHAPE = 64, (3, 32, 32)
GOALS = {"niti": 0.95, "niti-local": 0.93}
GOAL_OF_4_BITS = 0.90
LONGEST_STEP = 2.0  # times the float32 step
REGIMES = [name for name, r in INTEGER_REGIMES.items() if not (r.perturbs or r.one_by_one)]
"""Zeroth order has a benchmark of its own: benchmarks/zeroth_order.py. Of one block after the other
a step is one of each."""
RIVALS = tuple(name for name in REGIMES if INTEGER_REGIMES[name].arithmetic == "nitro")
"""Measured under the same conditions; no goal is set for them."""


def trained(regime: str, seed: int) -> tuple[dict[str, Any], dict[str, str], tuple[int, ...]]:
    """One training on the digits, what it ran on, and on how many images of each split."""
    config = Config(
        network=NetworkSettings("plain4", 16, blocks="layers", head="pred-pooled"),
        images=ImageSettings("digits"),
        quantization=QuantizationSettings("fp32"),
        training=TrainingSettings((regime,), epochs=EPOCHS, batch_size=BATCH, seed=seed),
    )
    prepared = prepare(config)
    options = replace(options_of(prepared, regime), digest=True)
    found, _ = run_of(prepared, regime, options).train()
    row = {
        "regime": regime, "seed": seed, "test_accuracy": found.test_accuracy,
        "test_accuracy_one_by_one": found.test_accuracy_one_by_one,
        "validation_accuracy": found.validation_accuracy, "best_epoch": found.best_epoch,
        "seconds": round(found.seconds, 1), "digest": found.digest,
        "peak_bytes": prepared.plan(regime).peak_bytes, "fits": prepared.plan(regime).fits,
    }  # fmt: skip
    images = prepared.dataset
    return (
        row,
        environment(prepared.accelerator),
        (len(images.train), len(images.validation), len(images.test)),
    )


def stepper(regime: str) -> Callable[[], object]:
    """A training step of plain6, on integers or in float32."""
    torch.manual_seed(0)
    chain = models.build("plain6", TIMED_SHAPE)
    net: Any = BlockNet(chain, Anatomy(chain, "gap").cut("layers", Step()), "gap")
    x = torch.randint(256, (TIMED_BATCH, *TIMED_SHAPE), dtype=torch.uint8)
    if regime in INTEGER_REGIMES:
        net = IntegerNet(net, arithmetic_of(regime), seed=0)
    else:
        x = x.float().div_(255)
    x = x.contiguous(memory_format=LAYOUT)
    net = net.to(memory_format=LAYOUT).train()
    y = torch.arange(TIMED_BATCH) % 10
    phase = ALL_REGIMES[regime].phases(net)[0]
    updater = numerics_of(net).updater(
        net, TrainOptions(1, TIMED_BATCH, "sgd-momentum", 0.01, False, 0), regime
    )

    def step() -> None:
        updater.set_progress(0, 100)
        ALL_REGIMES[regime].step(net, phase, x, y)
        updater.finish_step()

    return step


def ratio(regime: str, rounds: int) -> float:
    """Median over rounds of the integer step's time over that of its float twin."""
    twin = find(regime).float_twin
    steps, ratios = (stepper(twin), stepper(regime)), []
    for index in range(rounds + 2):
        seconds = []
        for step in steps:
            started = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - started)
        if index >= 2:
            ratios.append(seconds[1] / seconds[0])
    return statistics.median(ratios)


def verdict(regime: str, met: bool) -> str:
    """Of a goal."""
    return "-" if regime in RIVALS else "met" if met else "NOT met"


def main() -> None:
    """Train, time, print and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    times: dict[str, float] = {}
    conditions: dict[str, Any] = {}
    images: tuple[int, ...] = ()
    for regime in REGIMES:
        for seed in arguments.seeds:
            row, conditions, images = trained(regime, seed)
            met = row["test_accuracy"] >= GOALS.get(regime, GOAL_OF_4_BITS)
            print(
                f"{regime:18} seed {seed} test {row['test_accuracy']:.1%} {verdict(regime, met)}", flush=True
            )
            rows.append(row)
        times[regime] = round(ratio(regime, arguments.rounds), 2)
        met = times[regime] <= LONGEST_STEP
        print(f"{regime:18} step {times[regime]:.2f}x float32 {verdict(regime, met)}", flush=True)
    record = {
        "epochs": EPOCHS, "batch": BATCH, "rounds": arguments.rounds, "images": images, "rivals": RIVALS,
        "environment": conditions, "rows": rows, "step_times": times,
    }  # fmt: skip
    output.keep("integer", record, record=arguments.record)


if __name__ == "__main__":
    main()
