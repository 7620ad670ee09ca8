"""Networks of public collections as they are taken: planned, and stepped once in their quantized form.

    python benchmarks/zoo.py torchvision|timm [--networks resnet18 ...] [--record]

Of each network at 3x64x64 in 10 classes, 8 bits (LSQ), SGD and one image a step: its parameters, the parts
that it can be cut into, and peaks of bp and local-resident in 4 blocks. In the same form two images pass,
forth and back, after which every parameter has a finite gradient. What is refused says why. What a record has
of other networks stays in it. timm is no dependency: ``uv run --with timm`` brings it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import output
import torch
import torchvision  # type: ignore[import-untyped]
from torch.nn import functional as F

import devices
from blockwise import models, quant
from devices.errors import InputError

SHAPE, CLASSES, BITS, BLOCKS = (3, 64, 64), 10, 8, "4"
REGIMES = ("bp", "local-resident")


@dataclass(frozen=True)
class Zoo:
    """Names of networks, what makes the chain of one, and the version of the package."""

    networks: tuple[str, ...]
    chain: Callable[[str], models.Chain]
    version: Callable[[], str]


def of_torchvision(name: str) -> models.Chain:
    """As the command line has it."""
    return models.build(f"torchvision:{name}", SHAPE, CLASSES, trained=True)


def of_timm(name: str) -> models.Chain:
    """As a module of one's own."""
    import timm  # type: ignore[import-not-found, import-untyped, unused-ignore]

    try:  # what learns a summand for each place is made for images of one size
        made = timm.create_model(name, num_classes=CLASSES, img_size=SHAPE[1])
    except TypeError:
        made = timm.create_model(name, num_classes=CLASSES)
    return models.from_module(made, SHAPE)


def version_of_timm() -> str:
    """Of the package that is there."""
    import timm

    return str(timm.__version__)


ZOOS: Mapping[str, Zoo] = {
    "torchvision": Zoo(
        (
            "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5",
            "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnet50",
            "shufflenet_v2_x0_5", "squeezenet1_1", "vgg11", "swin_t", "vit_b_16",
        ),
        of_torchvision, lambda: str(torchvision.__version__),
    ),
    "timm": Zoo(
        (
            "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "lcnet_035", "tinynet_e", "ghostnet_050",
            "repghostnet_050", "efficientnet_lite0", "fbnetc_100", "rexnet_100", "mobilenet_edgetpu_v2_xs",
            "mobileone_s0", "repvgg_a0", "repvit_m0_9", "fasternet_t0", "starnet_s050", "regnetx_002",
            "convnext_atto", "inception_next_atto", "poolformer_s12", "mambaout_femto", "hgnet_tiny",
            "seresnet18", "ecaresnet26t", "resnetv2_50", "res2net50_26w_4s", "dla46_c", "dpn48b",
            "ese_vovnet19b_slim_dw", "rdnet_tiny", "xception41", "convnextv2_atto", "eca_nfnet_l0",
            "ghostnetv2_100", "hrnet_w18_small", "skresnet18", "shvit_s1", "efficientvit_b0",
            "vit_tiny_patch16_224", "deit_tiny_patch16_224", "pit_ti_224", "cait_xxs24_224", "mobilevit_xxs",
            "mobilevitv2_050", "edgenext_xx_small", "levit_128s", "pvt_v2_b0", "efficientformerv2_s0",
            "visformer_tiny", "fastvit_t8", "swin_tiny_patch4_window7_224", "xcit_nano_12_p16_224",
            "mixer_s16_224", "gmlp_s16_224",
        ),
        of_timm, version_of_timm,
    ),
}  # fmt: skip


def planned(chain: models.Chain, regime: str) -> devices.Plan:
    """On one image."""
    return devices.plan(
        chain, "stm32", regime=regime, batch_size=1, blocks=BLOCKS, head="gap", optimizer="sgd",
        weight_bits=BITS, activation_bits=BITS,
    )  # fmt: skip


def taken(chain: models.Chain) -> dict[str, Any]:
    """Its plans, and whether a step trains all of it."""
    told = {"parameters": models.count_parameters(chain), "parts": len(chain.unit_names)}
    peaks = {regime: planned(chain, regime).peak_bytes for regime in REGIMES}
    quant.quantize(chain, "lsq", BITS, BITS).train()
    F.cross_entropy(chain(torch.randn(2, *SHAPE)), torch.tensor([0, 1])).backward()
    wanting = [p for p in chain.parameters() if p.grad is None or not p.grad.isfinite().all()]
    return {**told, "peak_bytes": peaks, "without_gradient": len(wanting)}


def row_of(zoo: Zoo, name: str) -> dict[str, Any]:
    """Of a network that is refused, the line that says so."""
    try:
        return taken(zoo.chain(name))
    except InputError as error:
        of_flag = error.subject.startswith("--")  # else of a layer, whatever it is called
        return {"refused": f"{error.subject} {error.got}: {error.wanted}" if of_flag else f"got {error.got}"}


def main() -> None:
    """Try each, print a line and keep it."""
    parser = output.parser(__doc__)
    parser.add_argument("zoo", choices=list(ZOOS))
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="some of those of the zoo")
    args = parser.parse_args()
    zoo = ZOOS[args.zoo]
    chosen = args.networks or zoo.networks
    unknown = [name for name in chosen if name not in zoo.networks]
    if unknown:
        parser.error(f"--networks: got {unknown[0]}, wanted some of {', '.join(zoo.networks)}")
    zoos = output.kept("zoo", record=args.record).get("zoos", {})
    rows = zoos.get(args.zoo, {}).get("networks", {})
    for name in chosen:
        torch.manual_seed(0)
        rows[name] = row_of(zoo, name)
        print(name, rows[name], flush=True)
        kept = {name: rows[name] for name in zoo.networks if name in rows}
        zoos[args.zoo] = {"version": zoo.version(), "networks": kept}
        figures = {"shape": SHAPE, "bits": BITS, "blocks": BLOCKS, "zoos": zoos}
        output.keep("zoo", figures, record=args.record)


if __name__ == "__main__":
    main()
