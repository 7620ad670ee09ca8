"""MobileNetV2 at width 0.35 and 3x128x128, 8 bits: plans beside what tiny-training and TinyEngine publish.

    python benchmarks/mobilenet.py [--record]

Their network is torchvision's without the last convolution. The extra memory of an update is counted by the
rule of tiny-training's code as well, whose labels it reproduces.
"""

import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import output
import torchvision.models as zoo  # type: ignore[import-untyped]
from torch import nn

import blockwise
from blockwise.experiment.provenance import git_commit
from blockwise.models import Chain
from devices import load
from devices.network import Layer
from devices.network.bits import Bits
from devices.network.ops import Conv
from devices.planning import Plan
from devices.program import categories as cat
from devices.program.inference import inference
from devices.program.ledger import Ledger
from devices.program.regimes import Step

SIDE, WIDTH, CLASSES, BOARD = 128, 0.35, 10, "stm32f746-disco"
SETTINGS: dict[str, Any] = {
    "method": "lsq", "activation_method": "dorefa", "weight_bits": 8, "activation_bits": 8,
    "norm": "none", "optimizer": "sgd", "batch_size": 1, "blocks": "layers", "head": "gap",
}  # fmt: skip
"""Levels of activations that no gradient moves, as in their int8 graph; norms folded in; no momentum."""

PUBLISHED = {
    "inference144": [
        (295, "TinyEngine, measured", "github.com/mit-han-lab/tinyengine, README"),
        (296, "X-CUBE-AI 7.3, measured", "github.com/mit-han-lab/tinyengine, README"),
        (303, "activations, counted", "github.com/mit-han-lab/mcunet, README"),
    ],
    "full": [(2939, "full update, measured", "arXiv 2206.15472, figure 10a")],
    "sparse": [
        (335, "sparse update, measured", "arXiv 2206.15472, figure 10a"),
        (141, "sparse update, reordered, measured", "arXiv 2206.15472, figure 10a"),
    ],
}
"""kB, with what and where. Trainings on an STM32F746, one image, the first stage in 2x2 patches."""


@dataclass(frozen=True)
class Scheme:
    """A published sparse update: convolutions by number from 0, shares of their input channels, biases."""

    label: int  # kB that its authors count
    biases: int  # of so many last convolutions
    convolutions: tuple[int, ...]
    shares: tuple[float, ...]


SCHEMES = (
    Scheme(49, 16, (36, 39, 40, 41, 42, 45, 48, 49), (1, 1, 0, 0.25, 0.125, 0.125, 0.125, 0.125)),
    Scheme(73, 20, (32, 33, 36, 39, 41, 42, 45, 48), (0.125, 0.5, 0.5, 1, 0.25, 0.125, 0.125, 1)),
    Scheme(99, 25, (27, 30, 33, 36, 39, 42, 45, 48), (1, 1, 1, 1, 1, 0.125, 0.5, 1)),
    Scheme(123, 31, (27, 30, 33, 36, 39, 42, 45, 48), (1, 1, 1, 1, 1, 0.5, 1, 1)),
    Scheme(138, 34, (27, 30, 33, 36, 39, 42, 45, 48), (1, 1, 1, 1, 1, 1, 1, 1)),
)
"""Of this network: github.com/mit-han-lab/tiny-training, compilation/mcu_ir_gen.py."""
CHOSEN = 99
"""The one of 100 kB, whose accuracies the paper reports."""


def network(side: int, *, whole: bool = False) -> Chain:
    """Theirs, or torchvision's ``whole``: with the convolution to 1,280 channels before the classifier."""
    module = zoo.mobilenet_v2(width_mult=WIDTH, num_classes=CLASSES)
    if not whole:
        module.classifier[1] = nn.Linear(module.features[-1][0].in_channels, CLASSES)
        module.features = module.features[:-1]
    return blockwise.from_module(module, (3, side, side))


def convolutions(plan: Plan) -> list[Layer]:
    """In order."""
    return [layer for layer in plan.schedule.layers.values() if isinstance(layer.op, Conv)]


def counted(layers: list[Layer], shapes: dict[str, tuple[int, ...]], scheme: Scheme) -> dict[str, float]:
    """The extra bytes of a scheme by tiny-training's rule: inputs and masks saved, weights updated.

    Inputs at 8 bits of the channels whose weights are updated, 1 bit of each output whose bias is, weights at
    8 bits and biases at 32; of the classifier, which is in float, the input alone.
    """
    shares = dict(zip(scheme.convolutions, scheme.shares, strict=True))
    saved, weights = float(layers[-1].shape[0]), 0.0
    for number, layer in list(enumerate(layers))[len(layers) - scheme.biases :]:
        op, share = layer.op, shares.get(number, 0.0)
        assert isinstance(op, Conv)
        channels = int(op.in_channels * share)
        source = shapes[layer.inputs[0]]
        saved += math.prod(layer.shape) / 8 + channels * math.prod(source[1:])
        rows = 1 if op.groups > 1 else op.channels
        weights += 4 * op.channels + rows * channels * math.prod(op.kernel)
    return {"saved": saved, "weights": weights, "total": saved + weights}


def planned(name: str, plan: Plan) -> dict[str, Any]:
    """The figures of a plan."""
    return {
        "name": name, "regime": plan.regime, "peak_bytes": plan.peak_bytes, "by_category": plan.by_category,
        "macs": plan.schedule.macs, "operation": plan.ledger.peak.operation.name, "fits": plan.fits,
    }  # fmt: skip


def at_rest(side: int) -> dict[str, Any]:
    """Inference: weights and folded norms are in flash, all else in RAM."""
    chain = network(side)
    described = chain.describe(blocks="layers", head="gap")
    step = Step(1, "sgd", Bits(8, 8, 8))
    ledger = Ledger(inference(described, step), load(BOARD).alignment_bytes)
    found = ledger.peak.by_category
    return {
        "name": f"inference, {side}x{side}", "side": side,
        "peak_bytes": found[cat.WORKING_TENSORS] + found[cat.SCRATCH],
        "flash_bytes": found[cat.PACKED_WEIGHTS] + found[cat.NORM_AND_QUANTIZER],
        "operation": ledger.peak.operation.name,
    }  # fmt: skip


def plans() -> Iterator[tuple[str, Plan]]:
    """Of the trainings that are compared."""
    chain = network(SIDE)
    kinds: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("full", "bp", {}), ("fused", "bp-fused", {}), ("best", "bp-best", {}),
        ("head", "bp-fused", {"train": "head", "frozen": "flash"}),
        ("sparse", "bp-fused", {"train": f"sparse:{_file(chain)}", "frozen": "flash"}),
    )  # fmt: skip
    for name, regime, more in kinds:
        yield name, blockwise.plan(chain, BOARD, regime=regime, **{**SETTINGS, **more})
    yield "torchvision", blockwise.plan(network(SIDE, whole=True), BOARD, regime="bp", **SETTINGS)


def _file(chain: Chain) -> str:
    """The chosen scheme as --train sparse:FILE has it; the classifier is trained whole."""
    scheme = next(s for s in SCHEMES if s.label == CHOSEN)
    layers = [x for x in chain.describe(blocks="layers", head="gap").layers if x.weights]
    names = [x.name for x in layers if isinstance(x.op, Conv)]
    weights = {names[i]: share for i, share in zip(scheme.convolutions, scheme.shares, strict=True)}
    path = Path(tempfile.mkdtemp()) / "scheme.json"
    path.write_text(json.dumps({"biases": scheme.biases + 1, "weights": {**weights, layers[-1].name: 1.0}}))
    return str(path)


def main() -> None:
    """Plan, count, print and write."""
    arguments = output.parser(__doc__).parse_args()
    found = dict(plans())
    full = found["full"]
    shapes = {name: layer.shape for name, layer in full.schedule.layers.items()}
    layers = convolutions(full)
    shapes["images"] = (3, SIDE, SIDE)
    whole = Scheme(0, len(layers), tuple(range(len(layers))), (1.0,) * len(layers))
    rows = [planned(name, plan) for name, plan in found.items()]
    record: dict[str, Any] = {
        "conditions": {"board": BOARD, "side": SIDE, "width": WIDTH, "classes": CLASSES,
                       "settings": SETTINGS, "commit": git_commit()},
        "published": PUBLISHED,
        "inference": [at_rest(SIDE), at_rest(144)],
        "plans": rows,
        "counted": {"full": counted(layers, shapes, whole)}
        | {str(s.label): counted(layers, shapes, s) for s in SCHEMES},
        "parameters": sum(layer.weights + layer.biases for layer in full.schedule.layers.values()),
        "macs": sum(layer.macs for layer in full.schedule.layers.values()),
    }  # fmt: skip
    for row in [*record["inference"], *rows]:
        print(f"{row['name']}: {row['peak_bytes'] / 1000:,.0f} kB at {row['operation']}")
    for label, bytes_ in record["counted"].items():
        print(f"counted by their rule, {label}: {bytes_['total'] / 1024:,.1f} KiB")
    output.keep("mobilenet", record, record=arguments.record)


if __name__ == "__main__":
    main()
