"""Networks of torchvision as they are taken: planned, and stepped once in their quantized form.

    python benchmarks/torchvision_nets.py [--networks resnet18 ...] [--record]

Of each network at 3x64x64 in 10 classes, 8 bits (LSQ), SGD and one image a step: its parameters, the parts
that it can be cut into, and peaks of bp and local-resident in 4 blocks. In the same form two images pass,
forth and back, after which every parameter has a finite gradient. What is refused says why. What a record has
of other networks stays in it.
"""

from typing import Any

import output
import torch
from torch.nn import functional as F

import devices
from blockwise import models, quant
from devices.errors import InputError

NETWORKS = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5", "mobilenet_v2",
    "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnet50", "shufflenet_v2_x0_5", "squeezenet1_1",
    "vgg11", "swin_t", "vit_b_16",
)  # fmt: skip
SHAPE, CLASSES, BITS, BLOCKS = (3, 64, 64), 10, 8, "4"
REGIMES = ("bp", "local-resident")


def planned(chain: models.Chain, regime: str) -> devices.Plan:
    """On one image."""
    return devices.plan(
        chain, "stm32", regime=regime, batch_size=1, blocks=BLOCKS, head="gap", optimizer="sgd",
        weight_bits=BITS, activation_bits=BITS,
    )  # fmt: skip


def taken(name: str) -> dict[str, Any]:
    """Its plans, and whether a step trains all of it."""
    chain = models.build(f"torchvision:{name}", SHAPE, CLASSES, trained=True)
    told = {"parameters": models.count_parameters(chain), "parts": len(chain.unit_names)}
    peaks = {regime: planned(chain, regime).peak_bytes for regime in REGIMES}
    quant.quantize(chain, "lsq", BITS, BITS).train()
    F.cross_entropy(chain(torch.randn(2, *SHAPE)), torch.tensor([0, 1])).backward()
    wanting = [p for p in chain.parameters() if p.grad is None or not p.grad.isfinite().all()]
    return {**told, "peak_bytes": peaks, "without_gradient": len(wanting)}


def row_of(name: str) -> dict[str, Any]:
    """Of a network that is refused, the line that says so."""
    try:
        return taken(name)
    except InputError as error:
        return {"refused": f"got {error.got}"}


def main() -> None:
    """Try each, print a line and keep it."""
    parser = output.parser(__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    args = parser.parse_args()
    rows = output.kept("torchvision_nets", record=args.record).get("networks", {})
    for name in args.networks:
        torch.manual_seed(0)
        rows[name] = row_of(name)
        print(name, rows[name], flush=True)
    kept = {name: rows[name] for name in NETWORKS if name in rows}
    figures = {"shape": SHAPE, "bits": BITS, "blocks": BLOCKS, "networks": kept}
    output.keep("torchvision_nets", figures, record=args.record)


if __name__ == "__main__":
    main()
