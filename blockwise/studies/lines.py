"""A training of a study, and the line of its record."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blockwise import data
from blockwise.executors.task import TaskWatcher
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.provenance import environment
from blockwise.experiment.trainer import options_of, run_of
from blockwise.studies import records
from blockwise.studies.jobs import Job
from blockwise.training.outcome import Training
from devices.boards.profile import KIB
from devices.program.regimes import REGIMES


def train(job: Job, checkpoint: Path, watcher: TaskWatcher, data_name: str) -> dict[str, Any]:
    """Train one job, from its checkpoint if there is one; its line for the record."""
    prepared = job.prepare()
    options = replace(
        options_of(prepared, job.regime), checkpoint=checkpoint, fingerprint=job.key, digest=True,
        watcher=lambda: watcher,
    )  # fmt: skip
    run = run_of(prepared, job.regime, options)
    watcher.expect([phase.block for phase in run.phases])
    training, host = run.train()
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
        **_planned(prepared, job.regime, training),
        **_started(job),
        "host_tensor_bytes": host.peak_tensor_bytes,
        "images_per_second": round(training.images_per_second, 1),
        **_images(job, data_name),
        "compiled": job.compiled,
        "seconds": round(training.seconds, 1),
        "environment": environment(prepared.accelerator),
        "places": [asdict(place) for place in training.places],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _planned(prepared: Prepared, regime: str, training: Training) -> dict[str, Any]:
    """What the board is, what a step takes of it, and the work of the whole training."""
    plan = prepared.plan(regime)
    return {
        "board": prepared.config.board.device,
        "update": plan.update,
        **peaks_kib(prepared, regime),
        "training_macs": training.macs(plan.schedule.macs, plan.schedule.macs_of_last),
    }


def peaks_kib(prepared: Prepared, regime: str) -> dict[str, Any]:
    """At the batch of the training and at 1; ``paged_kib`` are the two with blocks in flash, or None."""
    return {
        "peak_kib": _kib(prepared, regime),
        "peak_kib_of_one": _kib(prepared, regime, 1),
        "paged_kib": _paged(prepared, regime),
    }


def _kib(prepared: Prepared, regime: str, batch: int | None = None) -> float:
    return round(prepared.plan(regime, batch).peak_bytes / KIB, 1)


def _images(job: Job, data_name: str) -> dict[str, Any]:
    """What it is trained on."""
    images = job.images
    return {
        "data": data_name or images.name,
        "source": _source(job),
        "contents": images.contents,
        "in_shape": images.in_shape,
        "images": [len(images.train), len(images.validation), len(images.test)],
        "classes": len(images.classes),
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
    return [_kib(prepared, found, batch) for batch in (None, 1)]


def _error(accuracy: float | None) -> float | None:
    return None if accuracy is None else 1 - accuracy
