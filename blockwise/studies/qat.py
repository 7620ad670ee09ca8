"""Every quantization method under one protocol, trained globally or block by block.

JRAF 2023, "Quantized Neural Networks for edge implementation", compares nine on ResNet-20 and
CIFAR-10; these come first, the rest of the catalogue after them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from blockwise import quant
from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    PAPER,
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.quant.precision import FLOAT32
from blockwise.studies import summary
from blockwise.studies.distances import Distance, Trained, distance, trained
from blockwise.studies.jobs import Job
from blockwise.studies.summary import Summary
from devices.program.regimes import find

REFERENCE_ERRORS: dict[str, float] = {
    "fp32": 0.085,
    "bnn": 0.34,
    "twn": 0.27,
    "qnn": 0.195,
    "lsq": 0.10,
    "dorefa": 0.12,
    "sat": 0.11,
    "lq-net": 0.115,
    "centroids": 0.13,
}
"""Mean test errors of the reference study: ResNet-20, CIFAR-10, W3A3 but for BNN (1 bit) and TWN (2),
200 epochs, the best epoch on 5 % of the training images, 10 runs."""
REFERENCE_MODEL, REFERENCE_SHAPE = "resnet20", (3, 32, 32)


@dataclass(frozen=True)
class QatProtocol:
    """How every method is trained."""

    name: str
    description: str
    epochs: int
    batch_size: int
    image_size: int | None  # None: as the images are
    width: int
    seeds: tuple[int, ...]
    optimizer: str = "sgd-momentum"
    lr: float | None = None  # peak of the one-cycle schedule; None: the optimizer's
    recipe: bool = False  # whether a training starts in float and goes down in bits

    @property
    def learning_rate(self) -> float:
        """The peak: as it is set, or the optimizer's."""
        return TrainingSettings(optimizer=self.optimizer, lr=self.lr).learning_rate


PROTOCOLS: dict[str, QatProtocol] = {
    "short": QatProtocol(
        "short", "5 epochs at 16x16: a night on two cores for the whole catalogue",
        epochs=5, batch_size=128, image_size=16, width=16, seeds=(0,),
    ),
    "full": QatProtocol(
        "full", "24 epochs at full size, 2 seeds",
        epochs=24, batch_size=128, image_size=None, width=16, seeds=(0, 1),
    ),
    "reference": QatProtocol(
        "reference", "200 epochs at full size, 10 seeds",
        epochs=200, batch_size=128, image_size=None, width=16, seeds=tuple(range(10)),
    ),
    "best": QatProtocol(
        "best", "as reference, from float over falling widths in stages of equal length, 3 seeds",
        epochs=300, batch_size=128, image_size=None, width=16, seeds=(0, 1, 2), recipe=True,
    ),
}  # fmt: skip


def catalogue() -> tuple[str, ...]:
    """All methods, those of the reference study first."""
    first = [name for name in REFERENCE_ERRORS if name in quant.METHODS]
    return (*first, *(name for name in quant.METHODS if name not in first))


@dataclass(frozen=True)
class QatSpace:
    """What is trained: every method under every regime; heads and cuts matter to local regimes only."""

    methods: tuple[str, ...]
    regimes: tuple[str, ...] = ("bp",)
    heads: tuple[str, ...] = ("gap",)
    blocks: tuple[str, ...] = ("stages",)
    weight_bits: int | None = None  # None: 3 or what the method has
    activation_bits: int | None = None
    model: str = "resnet20"
    source: str = "cifar10"
    accelerator: str = "auto"
    compile: bool = False
    activation_method: str | None = None  # another one for activations
    residual: str = PAPER  # what skip paths hold: each method's convention
    precision: str = FLOAT32  # of the simulation


def jobs(space: QatSpace, protocol: QatProtocol) -> tuple[Job, ...]:
    """The trainings, seed by seed, so that a table of one seed stands before the next begins."""
    found = []
    for seed, regime, method in product(protocol.seeds, space.regimes, space.methods):
        pairs = product(space.heads, space.blocks) if find(regime).heads else [("gap", "stages")]
        for head, blocks in pairs:
            config = _config(space, protocol, method, regime, head, blocks, seed)
            found.append(Job("qat", protocol.name, config))
    return tuple(found)


def _config(
    space: QatSpace, protocol: QatProtocol, method: str, regime: str, head: str, blocks: str, seed: int
) -> Config:
    other = None if method == "fp32" else space.activation_method
    scheme = quant.scheme(method, activation_method=other)
    weight = _available(scheme, "weight", space.weight_bits)
    activation = _available(scheme, "activation", space.activation_bits)
    return Config(
        network=NetworkSettings(model=space.model, width=protocol.width, blocks=blocks, head=head),
        images=ImageSettings(data=space.source, image_size=protocol.image_size),
        quantization=QuantizationSettings(
            method=method, activation_method=other, weight_bits=weight, activation_bits=activation,
            bit_chain=_chain(scheme, weight) if protocol.recipe else (), residual=space.residual,
        ),
        training=TrainingSettings(
            regimes=(regime,), epochs=protocol.epochs, batch_size=protocol.batch_size,
            optimizer=protocol.optimizer, lr=protocol.lr, seed=seed,
            accelerator=space.accelerator, compile=space.compile, precision=space.precision,
        ),
        output=OutputSettings(quiet=True),
    )  # fmt: skip


def _available(scheme: quant.Scheme, role: quant.Role, asked: int | None) -> int:
    """The width asked for where the method has it, or float32, else its own."""
    method = scheme.weight if role == "weight" else scheme.activation
    return asked if asked in (*method.bits(role), quant.FLOAT_BITS) else scheme.usual_bits(role)


def _chain(scheme: quant.Scheme, bits: int) -> tuple[int, ...]:
    """From float over 4 bits, where the method has them, to the end."""
    if scheme.is_float or scheme.stages.last or scheme.after_training:
        return ()
    between = (4,) if bits < 4 and 4 in scheme.weight.weight_bits else ()
    return (quant.FLOAT_BITS, *between, 1)


def summaries(
    rows: Iterable[dict[str, Any]], experiments: Iterable[dict[str, Any]] = ()
) -> tuple[Summary, ...]:
    """The recorded runs of one protocol, best first, with the reference study's errors where they compare.

    That is of its network, on images in colour. Where these have the reference's size, distances to float32
    stand beside the reference's; other recorded runs, ``experiments``, may explain what differs.
    """
    rows = tuple(rows)
    own = summary.summaries(rows)
    if not all(_comparable(row) for row in rows):
        return own
    own = tuple(replace(s, reference=reference_error(s)) for s in own)
    if not all(tuple(row.get("in_shape", ())) == REFERENCE_SHAPE for row in rows):
        return own
    samples = {None, *(row["contents"] for row in rows)}  # None: which they were is not known
    others = (row for row in experiments if row not in rows and row["contents"] in samples)
    everything = trained((*rows, *others))
    return tuple(replace(s, distance=_distance(s, everything)) for s in own)


def _comparable(row: dict[str, Any]) -> bool:
    """Whether a run is of the reference study's network, on images in as many colours."""
    shape = tuple(row.get("in_shape", REFERENCE_SHAPE))
    alike = row.get("model", REFERENCE_MODEL) == REFERENCE_MODEL
    return alike and len(shape) == len(REFERENCE_SHAPE) and shape[0] == REFERENCE_SHAPE[0]


def _distance(found: Summary, everything: Sequence[Trained]) -> Distance | None:
    """None where the reference has no such method, or there is no float32 to compare with."""
    if found.reference is None or found.method == "fp32":
        return None
    activations = f"{found.activation_method}, {found.activation_bits} bits"
    own = (found.weight_bits, activations, found.residual)
    alike = (g for g in everything if g.method == found.method and g.numbers[: len(own)] == own)
    group = next((g for g in alike if g.errors == found.over_seeds), None)
    return distance(group, found.reference - REFERENCE_ERRORS["fp32"], everything) if group else None


def reference_error(found: Summary) -> float | None:
    """The reference study's test error of the same method, of networks trained globally."""
    if not find(found.regime).plain or found.method not in REFERENCE_ERRORS:
        return None
    usual = quant.scheme(found.method).activation.name == found.activation_method
    return REFERENCE_ERRORS[found.method] if usual else None
