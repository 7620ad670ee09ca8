"""Training the points of the precision study: one recorded line a run, what is done is skipped."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from blockwise import data
from blockwise.compare import environment
from blockwise.config import Config, Data, Network, Output, Quantization, Training
from blockwise.setup import Setup
from blockwise.studies import records
from blockwise.studies.precision import Family, Point, Protocol, activation_bits
from blockwise.training import REGIMES, Run, TrainOptions
from blockwise.training.options import Silent, Watcher
from devices import profile
from devices.costs import FLOAT_BITS

METHOD = "lsq"
REGIME = "bp"


@cache
def dataset(source: str, image_size: int | None, seed: int) -> data.Dataset:
    """The images, loaded once."""
    return data.load(source, image_size=image_size, seed=seed)


@dataclass(frozen=True)
class Job:
    """One training run of the study."""

    point: Point
    seed: int
    config: Config

    @property
    def key(self) -> str:
        """What tells this run from every other: a hash of all that its outcome depends on."""
        config = self.config
        images = dataset(config.images.data, config.images.image_size, self.seed).fingerprint
        parts = [asdict(self.point), self.seed, asdict(config.quantization), asdict(config.training)]
        text = json.dumps([config.network.model, images, *parts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def family(model: str, source: str, protocol: Protocol) -> Family:
    """The model for the images of ``source`` under ``protocol``."""
    found = dataset(source, protocol.image_size, protocol.seeds[0])
    return Family(model, found.in_shape, len(found.classes))


def jobs(
    points: Iterable[Point], model: str, source: str, protocol: Protocol, accelerator: str
) -> tuple[Job, ...]:
    """Every point under every seed."""
    return tuple(
        Job(point, seed, _config(point, model, source, protocol, seed, accelerator))
        for point in points
        for seed in protocol.seeds
    )


def missing(jobs: Iterable[Job], path: Path) -> tuple[Job, ...]:
    """The jobs that ``path`` holds no line of."""
    done = {row["key"] for row in records.read(path)}
    return tuple(job for job in jobs if job.key not in done)


def run_all(
    jobs: Iterable[Job], path: Path, protocol: Protocol, data_name: str,
    watcher: Callable[[Job], Watcher] = lambda job: Silent(),
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Train ``jobs`` in turn; yields each line when it is recorded.

    The run that is interrupted goes on from its last epoch: its checkpoint stands beside ``path``.
    """
    for job in jobs:
        checkpoint = path.with_name(f"{path.stem}-{job.key}.pt")
        row = _train(job, checkpoint, watcher(job), protocol, data_name)
        records.append(path, row)
        checkpoint.unlink(missing_ok=True)
        yield row


def _config(point: Point, model: str, source: str, protocol: Protocol, seed: int, accelerator: str) -> Config:
    is_float = point.bits == FLOAT_BITS
    return Config(
        network=Network(model=model, width=point.width, blocks="stages", head="gap"),
        images=Data(data=source, image_size=protocol.image_size),
        quantization=Quantization(
            method="fp32" if is_float else METHOD, weight_bits=point.bits,
            activation_bits=activation_bits(point.bits),
        ),
        training=Training(
            regimes=(REGIME,), epochs=protocol.epochs, batch_size=protocol.batch_size, lr=protocol.lr,
            seed=seed, accelerator=accelerator,
        ),
        output=Output(quiet=True),
    )  # fmt: skip


def _train(
    job: Job, checkpoint: Path, watcher: Watcher, protocol: Protocol, data_name: str
) -> dict[str, Any]:
    config = job.config
    config.validate()
    images = dataset(config.images.data, config.images.image_size, job.seed)
    setup = Setup(config, profile.load(config.board.device), images)
    options = TrainOptions(
        epochs=config.training.epochs, batch_size=config.training.batch_size,
        optimizer=config.training.optimizer, learning_rate=config.learning_rate, fused=False, seed=job.seed,
        accelerator=setup.accelerator, checkpoint=checkpoint, fingerprint=job.key, watcher=lambda: watcher,
    )  # fmt: skip
    training, _ = Run(setup.build(), images, REGIMES[REGIME], options).train()
    return {
        "key": job.key,
        "study": "precision",
        "protocol": protocol.name,
        "model": config.network.model,
        **asdict(job.point),
        "activation_bits": activation_bits(job.point.bits),
        "method": config.quantization.method,
        "seed": job.seed,
        "test_error": 1 - training.test_accuracy,
        "validation_error": 1 - training.validation_accuracy,
        "best_epoch": training.best_epoch,
        "epochs": training.epochs,
        "batch_size": config.training.batch_size,
        "optimizer": config.training.optimizer,
        "learning_rate": training.learning_rate,
        "data": data_name or images.name,
        "in_shape": images.in_shape,
        "images": [len(images.train), len(images.validation), len(images.test)],
        "seconds": round(training.seconds, 1),
        "environment": environment(setup),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
