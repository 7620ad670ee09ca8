"""All ways to adapt to all people held out: what each trial depends on, and the records of those done."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from blockwise import data
from blockwise.adapt.pretraining import deployed
from blockwise.adapt.split import Parts, parts_of
from blockwise.adapt.trial import adapted, memory
from blockwise.adapt.ways import Way
from blockwise.experiment.config import Config
from blockwise.experiment.initial.weights import Weights, kept
from blockwise.experiment.keywords import config_of
from blockwise.experiment.named_files import digests
from blockwise.experiment.prepare import prepare
from blockwise.studies import records
from blockwise.studies.kinds import COUNT, GROUP, NUMBER, SHARE
from blockwise.system.files import make_folder
from devices.program.regimes import find

REVISION = 1
"""Raised whenever the same conditions end otherwise."""
FORMERLY = {"jump_every": 1, "distill": None, "skip_heads": 0.0}
"""Settings that have come since, and what they were before: trials that have them so are those of then."""
FORM = records.Form({}, {
    "before": SHARE, "after": SHARE, "others_before": SHARE, "others_after": SHARE,
    "steps": COUNT, "macs": NUMBER, "macs_per_step": NUMBER, "peak_bytes": COUNT, "environment": GROUP,
})  # fmt: skip
"""Of the lines of trials, and of what is deployed."""
RECORDS, DEPLOYED = "records.jsonl", "deployed"


@dataclass(frozen=True)
class Campaign:
    """Settings are flags by name: of the network, of its training on the others, and of adapting it."""

    data: str
    people: tuple[str, ...]
    ways: tuple[Way, ...]
    split: str
    network: Mapping[str, Any]
    integer_network: Mapping[str, Any]
    base: Mapping[str, Any]
    adapting: Mapping[str, Any]
    seed: int = 0
    folder: Path = field(default_factory=Path)

    def network_of(self, way: Way) -> Mapping[str, Any]:
        """Integers may have another one."""
        return self.integer_network if way.is_integer else self.network

    def config(self, way: Way, person: str, *, base: bool = False) -> Config:
        """Of the training on the board, or of that before it. Raises InputError for what cannot be."""
        stage = {**self.base, "regimes": (way.base,)} if base else {**self.adapting, **way.settings}
        common = {"data": self.data, "hold_out": (person,), "seed": self.seed, "regimes": (way.regime,)}
        return config_of({**common, **self.network_of(way), **stage})

    def parts(self, person: str) -> Parts:
        """The samples of one held-out person and of the others."""
        return _parts(self.data, person, self.split, self.seed)

    def key(self, way: Way, person: str, regime: str | None = None) -> str:
        """Of a trial: of all that its outcome hangs on; by ``regime`` instead of the way's own, if given."""
        target = self.config(way, person)
        kinds = _learning(target), _learning(self.config(way, person, base=True))
        about = [
            REVISION, self.parts(person).others.fingerprint, self.split, *kinds,
            way.regime if regime is None else regime, *digests(target),
        ]  # fmt: skip
        del kinds[0]["regimes"]
        return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def base_key(self, way: Way, person: str) -> str:
        """Of the network that is deployed."""
        target = self.config(way, person)
        about = [
            REVISION, self.parts(person).others.fingerprint, _learning(self.config(way, person, base=True)),
            asdict(target.network), asdict(target.quantization), *digests(target),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _learning(config: Config) -> dict[str, Any]:
    """The settings that decide what is learnt, but for those that have come since and are as they were."""
    found = config.learning().items()
    return {name: value for name, value in found if name not in FORMERLY or value != FORMERLY[name]}


@cache
def _parts(name: str, person: str, split: str, seed: int) -> Parts:
    return parts_of(data.load(name, hold_out=(person,), seed=seed), split)


def check(campaign: Campaign) -> None:
    """Refuse what no trial could begin with, before any work. Raises InputError."""
    for person in campaign.people:
        parts = campaign.parts(person)
        for way in campaign.ways:
            prepare(campaign.config(way, person), parts.person)
    make_folder(campaign.folder / DEPLOYED, "--out")


def run(campaign: Campaign, told: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Every trial's record, those already in the folder first found there; ``told`` hears what is begun."""
    path = campaign.folder / RECORDS
    known = {row["key"]: row for row in records.read(path, form=FORM)}
    for person in campaign.people:
        for way in campaign.ways:
            key = campaign.key(way, person)
            if key not in known:
                told(f"{way.name}, {person}")
                known[key] = _record(campaign, way, person, known)
                records.append(path, known[key], form=FORM)
            yield known[key]


def _record(campaign: Campaign, way: Way, person: str, known: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    about = {
        "key": campaign.key(way, person), "way": way.name, "regime": way.regime, "person": person,
        "split": campaign.split,
    }  # fmt: skip
    parts, config = campaign.parts(person), campaign.config(way, person)
    twin = find(way.regime).same_as(compiled=config.training.compile)
    same = known.get(campaign.key(way, person, twin)) if twin != way.regime else None
    if same is not None:  # the same bits: only its memory is another
        facts = memory(prepare(config, parts.person), way.regime)
        return {**same, **about, **facts, "macs": facts["macs_per_step"] * same["steps"]}
    start, facts = _start(campaign, way, person)
    return {**about, **facts, **adapted(way, config, start, parts)}


def _start(campaign: Campaign, way: Way, person: str) -> tuple[Weights, dict[str, Any]]:
    """What is deployed: trained once for all ways that take it up, and kept."""
    stem = campaign.folder / DEPLOYED / f"{way.base}-{campaign.base_key(way, person)}"
    weights, facts = stem.with_suffix(".safetensors"), stem.with_suffix(".jsonl")
    found, rows = kept(weights), records.read(facts, keys=("base",), form=FORM)
    if found is not None and rows:
        return found, rows[0]["base"]
    config = campaign.config(way, person, base=True)
    found, about = deployed(way, config, campaign.parts(person))
    about = {"base_validation_accuracy": about["validation_accuracy"], "base_epoch": about["epoch"]}
    found.keep(weights)
    records.append(facts, {"key": "", "base": about}, form=FORM)
    return found, about
