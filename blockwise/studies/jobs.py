"""Trainings of a study, each known by all that its outcome depends on: what is recorded is skipped."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from blockwise import data
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared, accelerator_of
from blockwise.experiment.settings.local import words
from blockwise.models import INITS
from blockwise.quant.precision import FLOAT32, available
from blockwise.studies import augmentation, records
from blockwise.studies.starts import Start, start_of
from devices.program.regimes import find


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
            "init": self.init,
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
    def init(self) -> str | None:
        """The digest of these weights."""
        return self.start.weights.digest if self.start else None

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


def distinct(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Of those that are one training under two names the first."""
    return tuple({job.key: job for job in reversed(tuple(jobs))}.values())[::-1]


def missing(jobs: Iterable[Job], path: Path) -> tuple[Job, ...]:
    """The jobs that ``path`` holds no line of, each training once."""
    done = {(row["key"], row["augment"]) for row in records.read(path)}
    return tuple(job for job in distinct(jobs) if job.lines.isdisjoint(done))


def lines_of(jobs: Iterable[Job], rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of ``rows`` that are of ``jobs``."""
    known = frozenset().union(*(job.lines for job in jobs))
    return [row for row in rows if (row["key"], row["augment"]) in known]
