"""Trainings of a study: one recorded line a run, what is done is skipped, what was cut off goes on."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from blockwise import data
from blockwise.executors.storage import Storage
from blockwise.executors.task import Executor, Task, TaskWatcher, Told
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared, accelerator_of
from blockwise.experiment.provenance import environment
from blockwise.experiment.settings.local import words
from blockwise.experiment.trainer import options_of, run_of
from blockwise.models import INITS
from blockwise.quant.precision import FLOAT32, available
from blockwise.studies import augmentation, records
from blockwise.studies.starts import Start, start_of
from blockwise.training.circumstances import as_begun
from devices.boards.profile import KIB
from devices.errors import InputError
from devices.program.regimes import REGIMES, find


@cache
def dataset(source: str, image_size: int | None, seed: int) -> data.Dataset:
    """The images, loaded once."""
    return data.load(source, image_size=image_size, seed=seed)


@dataclass(frozen=True)
class Job:
    """One training under the first regime of ``config``; ``labels`` stand in its record as they are."""

    study: str
    protocol: str
    config: Config
    labels: dict[str, Any] = field(default_factory=dict)

    @property
    def regime(self) -> str:
        """How gradients are made."""
        return self.config.training.regimes[0]

    @property
    def conditions(self) -> dict[str, Any]:
        """All that the outcome depends on but the images, with every choice spelt out."""
        network, training = self.config.network, self.config.training
        found = find(self.regime)
        local = found.heads
        return {
            "study": self.study,
            "protocol": self.protocol,
            "model": network.model,
            "width": network.width,
            "norm": network.norm,
            "init": self.start.weights.digest if self.start else None,
            **self._numbers(),
            "regime": self.regime,
            "blocks": network.blocks if local or (found.perturbs and found.cuts) else None,
            "head": network.head if local else None,
            "precision": self.precision,
            "epochs": training.epochs,
            "last_epochs": training.last_epochs if found.one_by_one else None,
            **self._together(),
            "batch_size": training.batch_size,
            **self._updates(),
            "seed": training.seed,
            "revision": revision_of(self.regime),
            **self.labels,
        }

    @property
    def precision(self) -> str:
        """What its convolutions are simulated in here: what was asked for, or what there is of it."""
        if find(self.regime).is_integer:
            return FLOAT32
        return available(self.config.training.precision, accelerator_of(self.config))

    def _numbers(self) -> dict[str, Any]:
        """What weights and activations are made of."""
        config = self.config
        regime = find(self.regime)
        form = regime.form
        if form:
            return {
                "method": regime.arithmetic, "activation_method": regime.arithmetic,
                "weight_bits": form.weight_bits, "activation_bits": form.activation_bits, "bit_chain": [],
                "residual": "codes",
            }  # fmt: skip
        return {
            "method": config.scheme.weight.name,
            "activation_method": config.scheme.activation.name,
            "weight_bits": config.weight_bits,
            "activation_bits": config.activation_bits,
            "bit_chain": list(config.quantization.bit_chain),
            "residual": config.residual,
        }

    def _updates(self) -> dict[str, Any]:
        """How far a step goes."""
        config, found = self.config, find(self.regime)
        own = asdict(config.zeroth_order) if found.perturbs else {}
        if found.is_integer:
            every = config.training.jump_every if found.jumps else 1
            rates = {"optimizer": None, "learning_rate": None, "mu": config.training.mu}
            return {**rates, "jump_every": every, **own}
        optimizer = config.training.optimizer if found.has_optimizer else None
        return {"optimizer": optimizer, "learning_rate": config.learning_rate, **own}

    def _together(self) -> dict[str, Any]:
        """What blocks do that learn together beside learning by labels; None for what they do not."""
        local = self.config.local
        told, does = local.distillation, find(self.regime).learns_together
        return {
            "distill": words(told) if told is not None and does else None,
            "skip_heads": local.skip_heads if local.skip_heads and does else None,
        }

    @property
    def start(self) -> Start | None:
        """The trained weights that it starts from; None where they are drawn."""
        init = self.config.network.init
        return None if init in INITS else start_of(init, self.config.training.seed)

    @property
    def images(self) -> data.Dataset:
        """The images of this run."""
        config = self.config
        return dataset(config.images.data, config.images.image_size, config.training.seed)

    @property
    def augment(self) -> str | None:
        """How they are changed at random: None, or words where it is not as usual for such images."""
        return augmentation.told(self.images)

    def prepare(self) -> Prepared:
        """Its board, images and network. Raises InputError for what cannot be trained."""
        return prepare(self.config, self.images, initial=self.start.weights if self.start else None)

    @property
    def key(self) -> str:
        """What tells this run from every other: a hash of the conditions and the images.

        Conditions that are as they were before they could be chosen are left out: the keys of runs
        recorded then stay theirs.
        """
        return self._key({"augment": self.augment})

    @property
    def lines(self) -> frozenset[tuple[str, str | None]]:
        """Keys and augmentations of its lines: earlier versions left the augmentation out of the key."""
        return frozenset((key, self.augment) for key in (self.key, self._key({})))

    def _key(self, of_images: dict[str, Any]) -> str:
        formerly = records.FORMERLY.items()
        conditions = self.conditions | of_images
        chosen = {name: v for name, v in conditions.items() if (name, v) not in formerly}
        text = json.dumps([self.images.fingerprint, chosen], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def compiled(self) -> bool:
        """Whether its steps are: a circumstance, for no condition of what is learnt is another."""
        return self.config.training.compile and not find(self.regime).is_integer


def revision_of(regime: str) -> int:
    """Which training of ``regime`` this code does. Integer regimes are specified to the last bit."""
    return records.FIRST_REVISION if find(regime).is_integer else records.REVISION


def missing(jobs: Iterable[Job], path: Path) -> tuple[Job, ...]:
    """The jobs that ``path`` holds no line of; of those that are one training under two names the first."""
    done = {(row["key"], row["augment"]) for row in records.read(path)}
    left: dict[str, Job] = {}
    for job in jobs:
        if job.lines.isdisjoint(done):
            left.setdefault(job.key, job)
    return tuple(left.values())


def lines_of(jobs: Iterable[Job], rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of ``rows`` that are of ``jobs``."""
    known = frozenset().union(*(job.lines for job in jobs))
    return [row for row in rows if (row["key"], row["augment"]) in known]


@dataclass(frozen=True)
class JobWork:
    """The training of a job, wherever a worker finds the same images."""

    job: Job
    key: str  # as it was found where the study was begun
    precision: str  # so was this
    kept: str
    data_name: str

    def __call__(self, place: Path, watcher: TaskWatcher) -> dict[str, Any]:
        """Its line for the record.

        Raises InputError for another precision or other images than where the study was begun.
        """
        if self.job.precision != self.precision:
            raise InputError(
                f"--precision {self.job.config.training.precision}",
                got=f"{self.job.precision} on a worker and {self.precision} here", wanted="the same on all",
                do=f"give --precision {FLOAT32}, or workers and a processor here that have it",
            )  # fmt: skip
        if self.job.key != self.key:
            raise InputError(
                f"--data {self.job.config.images.data}", got="other images on a worker than here",
                wanted="the same on all", do="bring the set up to date there",
            )  # fmt: skip
        checkpoint = place / self.kept
        with as_begun([checkpoint], accelerator_of(self.job.config), self.job.compiled):
            return train(self.job, checkpoint, watcher, self.data_name)


def task_of(job: Job, title: str, path: Path, data_name: str) -> Task:
    """A job as a task of the study recorded in ``path``."""
    key = job.key
    kept = f"{path.stem}-{key}.pt"
    return Task(key, title, kept, JobWork(job, key, job.precision, kept, data_name))


def run_all(
    tasks: Sequence[Task], path: Path, executor: Executor, storage: Storage, told: Told
) -> Iterator[dict[str, Any]]:
    """Train ``tasks``; yields each line when it is recorded in ``path``, to which nobody else writes.

    Runs that are interrupted go on from their last epochs: their checkpoints stay in ``storage``.
    """
    with closing(executor.run(tasks, storage, told)) as finished:
        for found in finished:
            records.append(path, found.answer)
            storage.remove(found.task.kept)
            yield found.answer


def train(job: Job, checkpoint: Path, watcher: TaskWatcher, data_name: str) -> dict[str, Any]:
    """Train one job, from its checkpoint if there is one; its line for the record."""
    config = job.config
    images = job.images
    prepared = job.prepare()
    options = replace(
        options_of(prepared, job.regime), checkpoint=checkpoint, fingerprint=job.key, digest=True,
        watcher=lambda: watcher,
    )  # fmt: skip
    run = run_of(prepared, job.regime, options)
    watcher.expect([phase.block for phase in run.phases])
    training, host = run.train()
    plan = prepared.plan(job.regime)
    return {
        "key": job.key,
        "schema": records.SCHEMA,
        **job.conditions,
        "augment": job.augment,
        "test_error": _error(training.test_accuracy),
        "test_error_one_by_one": _error(training.test_accuracy_one_by_one),
        "validation_error": _error(training.validation_accuracy),
        "divergence": asdict(training.divergence) if training.divergence else None,
        "digest": training.digest,
        "best_epoch": training.best_epoch,
        "losses": [round(epoch.train_loss, 4) for epoch in training.history],
        "parameters": prepared.whole.parameters,
        "weights": sum(layer.weights for layer in prepared.whole.layers),
        "stored_bytes": run.stored_bytes,
        "board": config.board.device,
        "update": plan.update,
        "peak_kib": round(plan.peak_bytes / KIB, 1),
        "peak_kib_of_one": round(prepared.plan(job.regime, 1).peak_bytes / KIB, 1),
        "paged_kib": _paged(prepared, job.regime),
        **_started(job),
        "training_macs": training.macs(plan.schedule.macs, plan.schedule.macs_of_last),
        "host_tensor_bytes": host.peak_tensor_bytes,
        "images_per_second": round(training.images_per_second, 1),
        "data": data_name or images.name,
        "source": _source(job),
        "contents": images.contents,
        "in_shape": images.in_shape,
        "images": [len(images.train), len(images.validation), len(images.test)],
        "classes": len(images.classes),
        "compiled": job.compiled,
        "seconds": round(training.seconds, 1),
        "environment": environment(prepared.accelerator),
        "places": [asdict(place) for place in training.places],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _source(job: Job) -> str | None:
    """The set's name for ``--data``; None of one's own files, whose place is nobody else's."""
    given = job.config.images.data
    return given if data.is_named(given) else None


def _started(job: Job) -> dict[str, Any]:
    """What it started from, by name, with its peaks in KiB, at the batch and at 1, and its work."""
    start, batch = job.start, job.config.training.batch_size
    if start is None:
        return {"init_name": None, "start_kib": None, "start_macs": 0}
    peaks = [round(start.peak_at(size) / KIB, 1) for size in (batch, 1)]
    return {"init_name": job.config.network.init, "start_kib": peaks, "start_macs": start.macs}


def _paged(prepared: Prepared, regime: str) -> list[float] | None:
    """Peaks in KiB, at the batch and at 1, of the regime that pages blocks and ends with the same bits."""
    found = next((r.name for r in REGIMES.values() if r.pages and r.bits_of == regime), None)
    if found is None:
        return None
    return [round(prepared.plan(found, batch).peak_bytes / KIB, 1) for batch in (None, 1)]


def _error(accuracy: float | None) -> float | None:
    return None if accuracy is None else 1 - accuracy
