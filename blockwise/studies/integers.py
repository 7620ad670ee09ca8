"""Training on integers alone beside float32 and QAT: the same network, cut, heads, images and epochs.

The reference study (JRAF 2023, "Quantized Neural Networks for edge implementation") ends on two open
questions, training on integers and local losses; this joins them, each globally and block by block.
"""

from dataclasses import dataclass
from itertools import product

from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.studies.jobs import Job
from blockwise.training import INTEGER_REGIMES, REGIMES
from devices.program.regimes import find

FLOAT_REGIMES = ("bp", "local")
USUAL_REGIMES = (
    *FLOAT_REGIMES,
    *(name for name in INTEGER_REGIMES if not (find(name).perturbs or find(name).one_by_one)),
)
FLOAT_METHODS = ("fp32", "lsq")
HEAD = "pred-pooled"
"""A pooled linear layer, which every regime can train."""
CUT = "layers"


@dataclass(frozen=True)
class IntegerProtocol:
    """How every regime is trained."""

    name: str
    description: str
    model: str
    width: int
    epochs: int
    batch_size: int
    seeds: tuple[int, ...]
    lr: float  # of float regimes: peak of the one-cycle schedule
    mu: int = 5  # of integer regimes: NITI's own
    image_size: int | None = None  # as they are
    regimes: tuple[str, ...] = USUAL_REGIMES
    jump_every: tuple[int, ...] = (1,)  # batches: of regimes whose weights jump a run for each


PROTOCOLS: dict[str, IntegerProtocol] = {
    "short": IntegerProtocol(
        "short", "plain4 at width 16 (62,896 parameters), 10 epochs: hours on two cores",
        model="plain4", width=16, epochs=10, batch_size=64, seeds=(0,), lr=0.05,
    ),
    "jumps": IntegerProtocol(
        "jumps", "how often weights of 4 bits jump: plain4 at width 16 on images of 16x16, 10 epochs",
        model="plain4", width=16, epochs=10, batch_size=64, seeds=(0,), lr=0.05, image_size=16,
        regimes=("niti4", "niti4-local", "niti4-jump", "niti4-jump-local", "niti4-jump-resident"),
        jump_every=(1, 2, 8, 32),
    ),
    "vgg": IntegerProtocol(
        "vgg", "VGG-small-7 at half NITI's width, 12 epochs: up to two hours a run on a core",
        model="vgg-small-7", width=64, epochs=12, batch_size=128, seeds=(0,), lr=0.05,
        regimes=("niti-local", "niti4-local", "niti4-jump-local", "niti", "niti4", "niti4-jump"),
        jump_every=(1, 8),
    ),
    "niti": IntegerProtocol(
        "niti", "NITI's own, VGG-small-7, 200 epochs, but batches of 128, whose sums surely fit 32 bits: for "
        "an accelerator",
        model="vgg-small-7", width=128, epochs=200, batch_size=128, seeds=(0,), lr=0.05,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class IntegerSpace:
    """What is trained: float regimes under every method, integer ones as they are; None: the preset's.

    Those of zeroth order, whose steps teach less, where they are asked for.
    """

    regimes: tuple[str, ...] | None = None
    source: str = "cifar10"
    accelerator: str = "auto"


def jobs(space: IntegerSpace, protocol: IntegerProtocol) -> tuple[Job, ...]:
    """The trainings, seed by seed, so that a table of one seed stands before the next begins."""
    found = []
    for seed, regime in product(protocol.seeds, space.regimes or protocol.regimes):
        methods = FLOAT_METHODS if regime in REGIMES else ("fp32",)
        for method, every in product(methods, protocol.jump_every if find(regime).jumps else (1,)):
            config = _config(space, protocol, regime, method, seed, every)
            found.append(Job("integer", protocol.name, config))
    return tuple(found)


def _config(
    space: IntegerSpace, protocol: IntegerProtocol, regime: str, method: str, seed: int, every: int
) -> Config:
    return Config(
        network=NetworkSettings(model=protocol.model, width=protocol.width, blocks=CUT, head=HEAD),
        images=ImageSettings(data=space.source, image_size=protocol.image_size),
        quantization=QuantizationSettings(method=method),
        training=TrainingSettings(
            regimes=(regime,), epochs=protocol.epochs, batch_size=protocol.batch_size, lr=protocol.lr,
            mu=protocol.mu, jump_every=every, seed=seed, accelerator=space.accelerator,
        ),
        output=OutputSettings(quiet=True),
    )  # fmt: skip
