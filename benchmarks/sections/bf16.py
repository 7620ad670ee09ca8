"""Trainings whose convolutions are simulated in bf16, beside the same ones in float32."""

from typing import Any

from blockwise.quant.precision import BF16, FLOAT32
from blockwise.report.spreads import MEANS, TESTS, error_words, points_words, tests_words
from blockwise.statistics.paired import compared
from blockwise.studies.errors import errors_of
from sections.markdown import table
from sections.methods import conditions
from sections.recorded import runs_of

Runs = list[dict[str, Any]]


def bf16() -> str:
    """results/studies/qat_bf16.jsonl: errors of both, and what lies between them seed by seed."""
    runs = runs_of("qat_bf16")
    head = ["method", "bits", "n", "float32", "bf16", "bf16 - float32", "p"]
    told = (
        "With `--compile --methods lsq fp32 --seeds 0 1 2`, and with `--precision bf16` beside that. "
        f"{MEANS} {TESTS}"
    )
    methods = dict.fromkeys(run["method"] for run in runs)
    rows = [_row([run for run in runs if run["method"] == method]) for method in methods]
    return "\n\n".join((f"{conditions(runs)} {told}", table(head, rows)))


def _row(runs: Runs) -> list[str]:
    floats, lowered = (errors_of([r for r in runs if r["precision"] == name]) for name in (FLOAT32, BF16))
    shared = sorted({*floats.by_seed} & {*lowered.by_seed})
    beside = compared([(lowered.by_seed[seed], floats.by_seed[seed]) for seed in shared])
    first = runs[0]
    bits = f"W{first['weight_bits']}A{first['activation_bits']}"
    errors = (error_words(floats), error_words(lowered))
    return [first["method"], bits, str(len(shared)), *errors, points_words(beside), tests_words(beside)]
