"""One way to adapt, to one person: its training on the board, and what is known of it afterwards."""

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from blockwise.adapt.split import Parts
from blockwise.adapt.ways import Way
from blockwise.data import Split
from blockwise.experiment.config import Config
from blockwise.experiment.initial.weights import Weights
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.provenance import environment
from blockwise.experiment.step_times import time_of
from blockwise.experiment.trainer import options_of, run_of
from blockwise.integer.net import IntegerNet
from blockwise.nets.blocks import BlockNet
from blockwise.training import Run
from blockwise.training.evaluate import accuracy_one_by_one, evaluate
from blockwise.training.options import Silent
from blockwise.training.outcome import Epoch

AnyRun = Run[BlockNet] | Run[IntegerNet]


@dataclass
class Curve(Silent):
    """A watcher that tests after every epoch: told, never used to choose one."""

    test: Split
    run: AnyRun | None = None
    points: list[tuple[int, float]] = field(default_factory=list)  # samples passed, accuracy

    def epoch(self, regime: str, epoch: Epoch) -> None:
        """An epoch is over."""
        assert self.run is not None
        samples = self.run.progress.images
        self.points.append((samples, accuracy(self.run, self.test)))


def accuracy(run: AnyRun, split: Split) -> float:
    """Of the network as it stands, on samples that come one by one."""
    device, last = run.options.accelerator, len(run.net) - 1
    if isinstance(run.net, IntegerNet):
        return accuracy_one_by_one(run.net, split, device)
    found = evaluate(run.net, split, (last,), run.inputs, device).accuracies[last]
    assert found is not None
    return found


def adapted(way: Way, config: Config, start: Weights, parts: Parts) -> dict[str, Any]:
    """The record of a training on the samples of the person.

    Its last epoch counts: which one is best, nobody could know without samples to test on.
    """
    prepared = prepare(config, parts.person, initial=start)
    curve = Curve(parts.person.test)
    options = replace(options_of(prepared, way.regime), watcher=lambda: curve)
    run = curve.run = run_of(prepared, way.regime, options)
    before = _both(run, parts)
    training, _ = run.train()
    after = (None, None) if training.divergence else _both(run, parts)
    return {
        "before": before[0], "after": after[0], "others_before": before[1], "others_after": after[1],
        "curve": curve.points,
        "samples": [len(parts.person.train), len(parts.person.test), len(parts.unseen)],
        "divergence": asdict(training.divergence) if training.divergence else None,
        "learning_rate": training.learning_rate, "mu": training.mu,
        "steps": training.steps, "seconds": round(training.seconds, 2), "network": described(prepared),
        **memory(prepared, way.regime), "macs": prepared.plan(way.regime).schedule.macs * training.steps,
        "head": prepared.head, "blocks": len(prepared.cut), "parameters": prepared.network.parameters,
        "environment": environment(prepared.accelerator),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _both(run: AnyRun, parts: Parts) -> tuple[float, float]:
    """Accuracy on the person's test samples, and on the others."""
    return accuracy(run, parts.person.test), accuracy(run, parts.unseen)


def memory(prepared: Prepared, regime: str) -> dict[str, Any]:
    """What a step takes on the board: bytes, and an estimate of its time."""
    plan = prepared.plan(regime)
    time = time_of(prepared.planner, plan)
    return {
        "peak_bytes": plan.peak_bytes, "fits": plan.fits, "macs_per_step": plan.schedule.macs,
        "instructions": time.instructions, "step_seconds": time.seconds, "time_basis": time.basis,
    }  # fmt: skip


def described(prepared: Prepared) -> str:
    """The network in words."""
    width = "" if prepared.width is None else f", width {prepared.width:g}"
    return f"{prepared.config.network.model}{width}"
