"""The comparison: plan and train every regime, and put all of it into one Result."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from blockwise.experiment.assumptions import assumptions
from blockwise.experiment.boards import beside
from blockwise.experiment.changes import changes
from blockwise.experiment.described import config_of, data_of, device_of, model_of, paper_accounting
from blockwise.experiment.planned import baselines, planned_row
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.provenance import environment
from blockwise.experiment.result import RegimeResult, Result
from blockwise.experiment.trainer import options_of, run_of
from blockwise.training.circumstances import as_begun
from blockwise.training.options import Silent, Watcher
from devices.program.regimes import find


def compare(prepared: Prepared, checkpoints: Path | None = None, watcher: Watcher | None = None) -> Result:
    """Plan every regime of the configuration and, unless it is a dry run, train it.

    Checkpoints go to ``checkpoints/<regime>.pt``; those already there are continued, on as many threads.
    """
    begun = [checkpoints / f"{name}.pt" for name in prepared.config.training.regimes] if checkpoints else []
    with as_begun(begun):
        return _compared(prepared, checkpoints, watcher)


def _compared(prepared: Prepared, checkpoints: Path | None, watcher: Watcher | None) -> Result:
    started, conditions = (
        time.perf_counter(),
        environment(prepared.accelerator),
    )  # of the code that runs, not a later one
    regimes = [planned_row(prepared, name) for name in prepared.config.training.regimes]
    if not prepared.config.output.dry_run:
        regimes = _all_trained(prepared, regimes, checkpoints, watcher or Silent())
    return Result(
        device=device_of(prepared),
        model=model_of(prepared),
        data=data_of(prepared),
        regimes=tuple(regimes),
        baselines=baselines(prepared),
        paper=paper_accounting(prepared),
        boards=beside(prepared),
        changes=changes(prepared, regimes),
        config=config_of(prepared),
        assumptions=assumptions(prepared),
        environment=conditions,
        seed=prepared.config.training.seed,
        seconds=time.perf_counter() - started,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        initial=prepared.initial_taken,
    )


def _all_trained(
    prepared: Prepared, rows: list[RegimeResult], checkpoints: Path | None, watcher: Watcher
) -> list[RegimeResult]:
    """Train each row; of regimes that end with the same bits only the first."""
    done: dict[str, RegimeResult] = {}
    trained = []
    for row in rows:
        twin = find(row.regime).same_as(compiled=prepared.config.training.compile)
        same = done.get(twin)
        if same is None:
            row = _trained(prepared, row, checkpoints, watcher)
            done[twin] = row
        else:
            row = replace(row, training=same.training, trained_as=same.regime)
        trained.append(row)
    return trained


def _trained(
    prepared: Prepared, row: RegimeResult, checkpoints: Path | None, watcher: Watcher
) -> RegimeResult:
    name, config = row.regime, prepared.config
    options = replace(
        options_of(prepared, name),
        checkpoint=checkpoints / f"{name}.pt" if checkpoints else None,
        fingerprint=config.fingerprint(
            name,
            prepared.head,
            prepared.cut,
            prepared.dataset.fingerprint,
            prepared.accelerator,
            *([prepared.initial.digest] if prepared.initial else []),
        ),
        digest_log=checkpoints / f"{name}.digests" if checkpoints and config.output.digest else None,
        watcher=lambda: watcher,
    )
    training, host = run_of(prepared, name, options).train()
    return replace(row, training=training, host=host)
