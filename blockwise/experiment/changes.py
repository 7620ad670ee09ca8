"""What would make a regime fit: settings that are changed one at a time, or together until it does."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from blockwise.experiment.alone import alone
from blockwise.experiment.choice import Chosen
from blockwise.experiment.command import command
from blockwise.experiment.config import Config
from blockwise.experiment.milder import MILDER, Milder, Trial, smaller_batch
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import RegimeResult
from blockwise.experiment.step_rows import Change
from blockwise.nets.anatomy import Anatomy, shapes_alone
from devices.errors import InputError
from devices.network.partial import ALL
from devices.planning import Plan
from devices.program.regimes import ALL_REGIMES, find

LEAST_SHARE = 0.05
"""Of the missing bytes: what saves less is not worth a line."""
LISTED, OTHERS = 4, 2
"""Single changes of a regime, and other regimes, that are listed if there are as many."""


def changes(prepared: Prepared, rows: Sequence[RegimeResult]) -> tuple[Change, ...]:
    """Of the regime that is nearest to fitting, single changes, and all that it takes where none is enough.

    Where nothing fits, also of the nearest one with blocks, for which each change balances them anew, and
    other regimes that would fit as they are.
    """
    out = sorted((row for row in rows if not row.fits), key=lambda row: row.peak_bytes)
    whole = [row for row in out if not find(row.regime).cuts][:1]
    if not out or len(out) < len(rows):
        return tuple(change for row in whole for change in _Search(prepared, row).found())
    cut = [row for row in out if find(row.regime).cuts][:1]
    found = [change for row in (*cut, *whole) for change in _Search(prepared, row).found()]
    return (*found, *_other_regimes(prepared, rows, out[0].peak_bytes))


def _other_regimes(prepared: Prepared, rows: Iterable[RegimeResult], lowest: int) -> list[Change]:
    """Those of the same arithmetic that fit with nothing else changed, the least work first."""
    compared = [find(row.regime) for row in rows]
    kinds = {regime.arithmetic for regime in compared}
    plans = []
    for name, regime in ALL_REGIMES.items():
        if regime in compared or regime.arithmetic not in kinds:
            continue
        tried = replace(prepared, config=_alone(prepared, name), taken=prepared.chosen)
        if not tried.obstacle(name) and (plan := tried.plan(name)).fits:
            plans.append((plan, tried.config))
    plans.sort(key=lambda found: found[0].schedule.macs)
    return [
        Change(plan.regime, f"regime {plan.regime}", plan.peak_bytes, lowest - plan.peak_bytes, True,
               command(config))
        for plan, config in plans[:OTHERS]
    ]  # fmt: skip


def _alone(prepared: Prepared, regime: str) -> Config:
    """The configuration with this regime only, under the head as it was chosen."""
    config = alone(prepared.config, regime)
    network = replace(config.network, head=prepared.head) if find(regime).heads else config.network
    return replace(config, network=network)


class _Search:
    """The changes of one regime."""

    def __init__(self, prepared: Prepared, row: RegimeResult) -> None:
        self._prepared, self._row, self._regime = prepared, row, row.regime
        self._missing = row.peak_bytes - prepared.device.usable_bytes
        # what is trained of a network may follow from its blocks as well
        self._cuts = find(row.regime).cuts or prepared.config.training.train != ALL
        self._start = Trial(_alone(prepared, row.regime), ())
        self._networks: dict[tuple[str, str], Chosen] = {}
        self._guesses: dict[Config, Plan] = {}

    def found(self) -> Iterator[Change]:
        """The most effective ones, those that fit first; or what it takes together."""
        trials = [trial for milder in MILDER if (trial := self._step(self._start, milder))]
        rows = [row for trial in self._worth(trials) if (row := self._change(trial))]
        rows = [row for row in rows if row.fits or self._helps(row)]
        yield from sorted(rows, key=lambda row: (not row.fits, 0 if row.fits else -row.saved_bytes))
        enough = any(row.fits for row in rows)
        if not enough and (row := self._together()) and (row.fits or self._helps(row)):
            yield row

    def _helps(self, row: Change) -> bool:
        """Of what is not enough by itself: bytes of RAM are no help where the flash is too small."""
        return not self._row.lacking_flash_bytes and row.saved_bytes > LEAST_SHARE * self._missing

    def _step(self, trial: Trial, milder: Milder) -> Trial | None:
        """The trial with one more setting changed; of batches the largest that is enough, or the smallest."""
        found, last = [], trial
        while (following := milder(last, self._regime)) and self._can_train(following):
            last = following
            found.append(last)
            if milder is not smaller_batch:
                return last
        if not found or not self._guess(found[-1]).may_fit:
            return found[-1] if found else None
        return found[bisect_left(found, True, key=lambda tried: self._guess(tried).may_fit)]

    def _worth(self, trials: list[Trial]) -> list[Trial]:
        """What may fit, then what saves most; with blocks to balance anew only what may fit."""
        trials.sort(key=lambda trial: (not self._guess(trial).may_fit, self._guess(trial).peak_bytes))
        return [trial for trial in trials if not self._cuts or self._guess(trial).may_fit][:LISTED]

    def _together(self) -> Change | None:
        """Changes added up, the mildest first, until it fits: those that save something."""
        trial = self._start
        for milder in MILDER:
            if self._guess(trial).may_fit:
                break
            tried = self._step(trial, milder)
            if tried and self._guess(tried).peak_bytes < self._guess(trial).peak_bytes:
                trial = tried
        return self._change(trial) if trial.words else None

    def _change(self, trial: Trial) -> Change | None:
        """Planned as the command would plan it, blocks balanced anew; None where it saves nothing."""
        plan = self._guess(trial)
        if self._cuts:
            plan = replace(self._prepared, config=trial.config, taken=None).plan(self._regime)
        saved, words = self._row.peak_bytes - plan.peak_bytes, ", ".join(trial.words)
        if saved <= 0:
            return None
        return Change(self._regime, words, plan.peak_bytes, saved, plan.fits, command(trial.config))

    def _guess(self, trial: Trial) -> Plan:
        """Planned with the cut as it is, whose blocks may be a little out of balance."""
        if trial.config not in self._guesses:
            self._guesses[trial.config] = self._with_cut(trial).plan(self._regime)
        return self._guesses[trial.config]

    def _can_train(self, trial: Trial) -> bool:
        """Not every network takes every norm and head."""
        try:
            return self._with_cut(trial).obstacle(self._regime) is None
        except InputError:
            return False

    def _with_cut(self, trial: Trial) -> Prepared:
        return replace(self._prepared, config=trial.config, taken=self._chosen(trial))

    def _chosen(self, trial: Trial) -> Chosen:
        """The network as it is cut now, with the trial's norm and head."""
        network, now = trial.config.network, self._prepared
        head = network.head if find(self._regime).heads else now.head
        if (head, network.norm) == (now.head, now.config.network.norm):
            return now.chosen
        if (head, network.norm) not in self._networks:
            tried = replace(now, config=trial.config)
            sizes = (int(now.width or 0), len(now.dataset.classes), *now.dataset.in_shape)
            with shapes_alone(*sizes):
                anatomy = Anatomy(tried.chain(trained=False), head)
            self._networks[head, network.norm] = Chosen(head, now.cut, anatomy.network(now.cut))
        return self._networks[head, network.norm]
