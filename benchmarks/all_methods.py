"""Train every quantization method for a few steps, globally and block by block: none may end in NaN.

    python benchmarks/all_methods.py PATH [--steps 40] [--record]

ResNet-20 at width 8 on an image folder or named set at 16x16, at three bits or the method's own, and
at two bits where it has them. Prints the mean loss of the first and of the last steps, and keeps
all_methods.json.
"""

import math
import sys
from typing import Any

import output
import torch

from blockwise import data, quant
from blockwise.experiment.config import Config
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.quant import ParameterRules
from blockwise.studies.qat import catalogue
from blockwise.training import REGIMES
from blockwise.training.features import LAYOUT, in_layout
from blockwise.training.updater import Updater
from devices.boards import profile

BATCH, WINDOW = 64, 5


def config(method: str, bits: int | None, regime: str, source: str) -> Config:
    """ResNet-20 with this method; two bits where it has them."""
    scheme = quant.scheme(method)
    own = [
        bits if bits in (scheme.weight if role == "weight" else scheme.activation).bits(role)
        else scheme.usual_bits(role)
        for role in quant.ROLES
    ]  # fmt: skip
    return Config(
        network=NetworkSettings("resnet20", 8, blocks="stages", head="gap"),
        images=ImageSettings(source, image_size=16),
        quantization=QuantizationSettings(method, weight_bits=own[0], activation_bits=own[1]),
        training=TrainingSettings((regime,), batch_size=BATCH),
    )


def losses(prepared: Prepared, regime: str, steps: int) -> list[float]:
    """The loss of each step at a constant learning rate; stages pass in their shares of the steps."""
    net = in_layout(prepared.build_parts()[1]).train()
    updater = Updater(net.parameters(), "sgd-momentum", fused=False, rules=ParameterRules.of(net))
    updater.set_learning_rate(0.02)
    phase, stages = REGIMES[regime].phases(net)[0], prepared.config.stages
    loader = data.batches(prepared.dataset.train, BATCH, normalize=prepared.dataset.normalize, shuffle=True)
    found: list[float] = []
    stage = -1
    for index, (x, y) in zip(range(steps), loader, strict=False):
        if stages.at(index, steps) != stage:
            stage = stages.at(index, steps)
            stages.enter(net, stage)
        losses = REGIMES[regime].step(net, phase, x.contiguous(memory_format=LAYOUT), y)
        found.append(float(losses.view(-1)[-1]))
        updater.finish_step()
    if not all(p.isfinite().all() for p in net.parameters()):
        found.append(math.nan)
    return found


def main() -> int:
    """Train all, print and write; 1 if one of them broke."""
    parser = output.parser(__doc__)
    parser.add_argument("data")
    parser.add_argument("--data-name", default="", help="what to call the data in the record")
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    images = data.load(arguments.data, image_size=16)
    rows: list[dict[str, Any]] = []
    for method in catalogue():
        for bits in (None, 2):
            for regime in ("bp", "local"):
                chosen = config(method, bits, regime, arguments.data)
                widths = chosen.weight_bits, chosen.activation_bits
                if (method, regime, *widths) in {(r["method"], r["regime"], *r["bits"]) for r in rows}:
                    continue  # it has no two bits
                prepared = Prepared(chosen, profile.load("stm32"), images)
                found = losses(prepared, regime, arguments.steps)
                first, last = (sum(part) / WINDOW for part in (found[:WINDOW], found[-WINDOW:]))
                rows.append(
                    {"method": method, "bits": widths, "regime": regime, "first": first, "last": last}
                )
                print(
                    f"{method:16} W{widths[0]}A{widths[1]} {regime:6} loss {first:.3f} -> {last:.3f}",
                    flush=True,
                )
    name = arguments.data_name or images.name
    record = {
        "data": name,
        "steps": arguments.steps,
        "batch": BATCH,
        "torch": torch.__version__,
        "rows": rows,
    }
    output.keep("all_methods", record, record=arguments.record)
    broken = [row for row in rows if not math.isfinite(row["last"])]
    print(f"{len(rows) - len(broken)} of {len(rows)} are finite")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
