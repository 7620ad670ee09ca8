"""The comparison: plan and train every regime, and put all of it into one Result."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from blockwise.experiment.assumptions import assumptions
from blockwise.experiment.boards import beside as on_others
from blockwise.experiment.changes import changes
from blockwise.experiment.config import Config
from blockwise.experiment.described import config_of, data_of, device_of, model_of, paper_accounting
from blockwise.experiment.everywhere import everywhere
from blockwise.experiment.planned import Batches, baselines, by_batch, in_batches, planned_row
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.provenance import environment
from blockwise.experiment.result import RegimeResult, Result
from blockwise.experiment.run_folder import absent_settings
from blockwise.system.beside import beside
from blockwise.system.collector import looking_seldom
from blockwise.training.circumstances import as_begun
from blockwise.training.options import Silent, Watcher
from devices.program.regimes import find

Told = Callable[[Result], None]
"""Is told what is planned before anything is trained."""


def compare(
    prepared: Prepared,
    checkpoints: Path | None = None,
    watcher: Watcher | None = None,
    planned: Told | None = None,
    steps: Told | None = None,
) -> Result:
    """Plan every regime of the configuration and, unless it is a dry run, train it.

    Checkpoints go to ``checkpoints/<regime>.pt``; those already there are continued, on as many threads.
    ``planned`` is called with the result as far as it is known before the first training, ``steps`` as soon
    as the step of every regime is known.
    """
    begun = [checkpoints / f"{name}.pt" for name in prepared.config.training.regimes] if checkpoints else []
    with as_begun(begun, prepared.accelerator):
        return _compared(prepared, checkpoints, watcher or Silent(), planned or _nobody, steps or _nobody)


def _nobody(result: Result) -> None:
    """Is told nothing."""


def trained_anew(config: Config) -> tuple[str, ...]:
    """The regimes that are trained: of those that end with the same bits only the first."""
    first: dict[str, str] = {}
    for regime in config.training.regimes:
        first.setdefault(find(regime).same_as(compiled=config.training.compile), regime)
    return tuple(first.values())


def _compared(
    prepared: Prepared, checkpoints: Path | None, watcher: Watcher, planned: Told, steps: Told
) -> Result:
    started = time.perf_counter()
    with looking_seldom():
        _ = prepared.network  # all that is planned needs it
        batches = beside(partial(_in_batches, prepared))
        result = _steps(prepared)
        steps(result)
        boards = beside(partial(everywhere, prepared))
        nearest = changes(prepared, result.regimes)
        rows = map(in_batches, result.regimes, batches())
        result = replace(result, regimes=tuple(rows), changes=nearest)
    if not prepared.config.output.dry_run:
        planned(result)
        trained = _all_trained(prepared, result.regimes, checkpoints, watcher)
        data = replace(result.data, contents=prepared.dataset.contents)
        result = replace(result, regimes=tuple(trained), data=data)
    with looking_seldom():
        result = replace(result, everywhere=boards())  # a plan is not kept waiting for it
    return replace(result, seconds=time.perf_counter() - started, created=_now())


def _steps(prepared: Prepared) -> Result:
    """The step of every regime, and what it is a step of."""
    conditions = environment(prepared.accelerator)  # of the code that runs, not a later one
    return Result(
        device=device_of(prepared),
        model=model_of(prepared),
        data=data_of(prepared),
        regimes=tuple(planned_row(prepared, name) for name in prepared.config.training.regimes),
        baselines=baselines(prepared),
        paper=paper_accounting(prepared),
        config=config_of(prepared),
        assumptions=assumptions(prepared),
        environment=conditions,
        seed=prepared.config.training.seed,
        seconds=0.0,
        created=_now(),
        initial=prepared.initial_taken,
        boards=on_others(prepared),
    )


def _in_batches(prepared: Prepared) -> list[Batches]:
    """The regimes in other batches."""
    return [by_batch(prepared, name) for name in prepared.config.training.regimes]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _all_trained(
    prepared: Prepared, rows: Sequence[RegimeResult], checkpoints: Path | None, watcher: Watcher
) -> list[RegimeResult]:
    """Train each row; of regimes that end with the same bits only the first."""
    anew, compiled = trained_anew(prepared.config), prepared.config.training.compile
    done: dict[str, RegimeResult] = {}
    trained = []
    for row in rows:
        twin = find(row.regime).same_as(compiled=compiled)
        if row.regime in anew:
            row = done[twin] = _trained(prepared, row, checkpoints, watcher)
        else:
            row = replace(row, training=done[twin].training, trained_as=done[twin].regime)
        trained.append(row)
    return trained


def _trained(
    prepared: Prepared, row: RegimeResult, checkpoints: Path | None, watcher: Watcher
) -> RegimeResult:
    from blockwise.experiment.trainer import options_of, run_of  # no plan waits for what trains to be loaded

    name, config = row.regime, prepared.config
    options = replace(
        options_of(prepared, name),
        checkpoint=checkpoints / f"{name}.pt" if checkpoints else None,
        fingerprint=config.fingerprint(
            name,
            prepared.head,
            prepared.cut,
            prepared.dataset.fingerprint,
            "cpu",  # as always: on which accelerator it goes on makes no other training, and is told
            *([prepared.initial.digest] if prepared.initial else []),
            without=absent_settings(config),
        ),
        digest_log=checkpoints / f"{name}.digests" if checkpoints and config.output.digest else None,
        watcher=lambda: watcher,
    )
    training, host = run_of(prepared, name, options).train()
    return replace(row, training=training, host=host)
