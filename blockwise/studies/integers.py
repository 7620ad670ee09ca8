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


PROTOCOLS: dict[str, IntegerProtocol] = {
    "short": IntegerProtocol(
        "short", "plain4 at width 16 (62,896 parameters), 10 epochs: hours on two cores",
        model="plain4", width=16, epochs=10, batch_size=64, seeds=(0,), lr=0.05,
    ),
    "niti": IntegerProtocol(
        "niti", "NITI's own, VGG-small-7, 200 epochs, but batches of 128, whose sums surely fit 32 bits: for "
        "an accelerator",
        model="vgg-small-7", width=128, epochs=200, batch_size=128, seeds=(0,), lr=0.05,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class IntegerSpace:
    """What is trained: float regimes under every method, integer regimes as they are.

    Those of zeroth order, whose steps teach less, where they are asked for.
    """

    regimes: tuple[str, ...] = USUAL_REGIMES
    source: str = "cifar10"
    accelerator: str = "auto"


def jobs(space: IntegerSpace, protocol: IntegerProtocol) -> tuple[Job, ...]:
    """The trainings, seed by seed, so that a table of one seed stands before the next begins."""
    found = []
    for seed, regime in product(protocol.seeds, space.regimes):
        for method in FLOAT_METHODS if regime in REGIMES else ("fp32",):
            config = _config(space, protocol, regime, method, seed)
            found.append(Job("integer", protocol.name, config))
    return tuple(found)


def _config(space: IntegerSpace, protocol: IntegerProtocol, regime: str, method: str, seed: int) -> Config:
    return Config(
        network=NetworkSettings(model=protocol.model, width=protocol.width, blocks=CUT, head=HEAD),
        images=ImageSettings(data=space.source),
        quantization=QuantizationSettings(method=method),
        training=TrainingSettings(
            regimes=(regime,), epochs=protocol.epochs, batch_size=protocol.batch_size, lr=protocol.lr,
            mu=protocol.mu, seed=seed, accelerator=space.accelerator,
        ),
        output=OutputSettings(quiet=True),
    )  # fmt: skip
