"""The trainings of the precision study."""

from collections.abc import Iterable
from dataclasses import asdict
from itertools import product

from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.studies.jobs import Job, dataset
from blockwise.studies.precision import Point, PrecisionProtocol, ScalableModel, activation_bits
from devices.program.accountings import FLOAT_BITS

METHOD = "lsq"
REGIME = "bp"


def family(model: str, source: str, protocol: PrecisionProtocol) -> ScalableModel:
    """The model for the images of ``source`` under ``protocol``."""
    found = dataset(source, protocol.image_size, protocol.seeds[0])
    return ScalableModel(model, found.in_shape, len(found.classes))


def jobs(
    points: Iterable[Point], model: str, source: str, protocol: PrecisionProtocol, accelerator: str
) -> tuple[Job, ...]:
    """Every point under every seed, seed by seed, so that a figure of one stands before the next begins."""
    return tuple(
        Job(
            "precision",
            protocol.name,
            _config(point, model, source, protocol, seed, accelerator),
            asdict(point),
        )
        for seed, point in product(protocol.seeds, points)
    )


def _config(
    point: Point, model: str, source: str, protocol: PrecisionProtocol, seed: int, accelerator: str
) -> Config:
    is_float = point.bits == FLOAT_BITS
    return Config(
        network=NetworkSettings(model=model, width=point.width, blocks="stages", head="gap"),
        images=ImageSettings(data=source, image_size=protocol.image_size),
        quantization=QuantizationSettings(
            method="fp32" if is_float else METHOD, weight_bits=point.bits,
            activation_bits=activation_bits(point.bits),
        ),
        training=TrainingSettings(
            regimes=(REGIME,), epochs=protocol.epochs, batch_size=protocol.batch_size, lr=protocol.lr,
            seed=seed, accelerator=accelerator,
        ),
        output=OutputSettings(quiet=True),
    )  # fmt: skip
