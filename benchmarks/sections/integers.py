"""Training on integers alone: the digits, and the study on real images."""

from typing import Any

from blockwise.report.integers import HEADINGS as INTEGER_HEADINGS
from blockwise.report.integers import contestant_of, integer_rows, integer_standing, one_by_one_words
from blockwise.report.spreads import lost_words, mean_words
from blockwise.report.uncertainty import known_to
from blockwise.statistics.shares import at_chance, half_width
from blockwise.statistics.spread import Spread
from blockwise.studies.integers import PROTOCOLS
from blockwise.studies.summary import summaries
from devices.boards.profile import KIB
from devices.program.regimes import find
from sections.markdown import picture, table
from sections.recorded import groups, is_drawn, load, machines, runs_of, threads

ACCURACIES = {"test_accuracy": "test accuracy", "test_accuracy_one_by_one": "images one by one"}
"""What records have, those of before only the first."""
DIGITS = 10
GOAL = 0.88
"""Accuracy on CIFAR-10 of integers with weights of 4 bits and no latent ones, which nobody has published."""
PUBLISHED = (
    "NITI: 89.2 % on VGG-small-7 (8 bits, 200 epochs of batch 256, the loss in floating point, one run, its "
    "last epoch; arXiv 2009.13108), NITRO-D: 87.96 % on VGG8B (32-bit weights, block by block, the epoch "
    "picked on test images; arXiv 2407.11698)"
)
GOAL_STUDIES = ("integer_jumps", "integer_vgg", "integer_short")
"""Those that may be recorded; of the first two no other section tells."""


def integer() -> str:
    """results/benchmarks/integer.json: the digits on integers alone."""
    result = load("integer")
    host = result["environment"]
    train, validation, test = result["images"]
    learnt = [r["test_accuracy"] for r in result["rows"] if r["regime"] not in result["rivals"]]
    known = max(half_width(accuracy, test) for accuracy in learnt)
    rows = []
    for regime, seconds in result["step_times"].items():
        own = [r for r in result["rows"] if r["regime"] == regime]
        accuracies = [_accuracy([r[key] for r in own], test) for key in ACCURACIES if key in own[0]]
        rows.append(
            [f"`{regime}`", *accuracies, str(len(own)), f"{own[0]['peak_bytes'] / KIB:.1f}", f"{seconds:.2f}"]
        )
    intro = (
        f"`uv run benchmarks/integer.py`: plain4 at width 16 on the bundled digits, {result['epochs']} "
        f"epochs, batch {result['batch']}, {train:,} training images, the epoch chosen on {validation:,} "
        f"validation images, of equal ones the latest; mean ± standard deviation over n seeds on {test:,} "
        f"test images (one accuracy is known to ±{100 * known:.1f} points by these, 95%); peak on the "
        "STM32F746. "
        "Step: its time over that of the float32 step (`bp` or `local`) of plain6 at width 16, batch 64, "
        f"3x32x32, medians of {result['rounds']} rounds. {threads(host)} of {host['processor']}, "
        f"torch {host['torch']}."
    )
    learnt_as = [words for key, words in ACCURACIES.items() if key in result["rows"][0]]
    return f"{intro}\n\n{table(['regime', *learnt_as, 'n', 'peak KiB', 'step : float32'], rows)}"


def _accuracy(found: list[float], images: int) -> str:
    """Over seeds, and how many of them are at chance."""
    lost = sum(at_chance(accuracy, images, DIGITS) for accuracy in found)
    return mean_words(Spread.of(found)) + lost_words(0, lost)


def integer_study() -> str:
    """results/studies/integer_short.jsonl: integers beside float32 and QAT on CIFAR-10."""
    runs = groups(runs_of("integer_short"))[0]
    first = runs[0]
    train, validation, test = first["images"]
    floats = next(r for r in runs if r["optimizer"])
    mu = next(r["mu"] for r in runs if "mu" in r)
    shape, rate = "x".join(map(str, first["in_shape"])), floats["learning_rate"]
    intro = (
        f"`run.py study integer --data PATH`: {first['model']} at width {first['width']} "
        f"({first['parameters']:,} parameters) on {first['data']} at {shape}, {first['epochs']} epochs of "
        f"{train:,} images, batch {first['batch_size']}; block by block: a convolution in each, "
        "pred-pooled heads; "
        f"float32 and LSQ by {floats['optimizer']}, peak learning rate {rate}, integers at "
        f"mu = {mu}; epoch chosen on {validation:,} validation images, error on {test:,} "
        "test images, mean ± standard deviation over n seeds. Peaks of a step on the STM32F746 (312 KiB "
        f"usable) at the training's batch and at batch 1. {machines(runs)}. {known_to(runs)}"
    )
    found = summaries(runs)
    shown = table([*INTEGER_HEADINGS], [list(row) for row in integer_rows(found)])
    figure = picture("integer_short", "error against memory")
    return "\n\n".join(filter(None, (intro, shown, integer_standing(found), figure)))


def integer_goal() -> str:
    """How far weights of 4 bits without latent ones are from the goal, by the studies that are recorded."""
    recorded = [(name, runs) for name in GOAL_STUDIES for runs in groups(runs_of(name))]
    distances = [f"- {found}" for name, runs in recorded if (found := _distance(runs))]
    tables = [
        told
        for name in GOAL_STUDIES[:-1]
        for told in (*(_study_table(runs) for own, runs in recorded if own == name), *_figure(name))
    ]
    intro = (
        f"This project wants {100 * GOAL:.0f} % on CIFAR-10 of weights of 4 bits without latent ones, near "
        f"what is published with more bits, under other conditions: {PUBLISHED}. The best of `niti4-jump` "
        "and its kin in each recorded study:"
    )
    return "\n\n".join([intro, "\n".join(distances), *tables])


def _distance(runs: list[dict[str, Any]]) -> str:
    """Of the best regime whose weights jump, also image by image; empty if there is none."""
    found, first = [s for s in summaries(runs) if s.errors], runs[0]
    jumping = [s for s in found if find(s.regime).jumps]
    if not jumping:
        return ""
    best, others = jumping[0], [s for s in found if not find(s.regime).jumps]
    alone = f", {_percent(best.one_by_one.mean)} image by image" if best.one_by_one else ""
    beside = [f"; beside it {contestant_of(s)} {_percent(s.error)}" for s in others[:1]]
    shape = "x".join(map(str, first["in_shape"]))
    return (
        f"{_percent(best.error)}{alone} ({contestant_of(best)}, n = {len(best.errors)}): "
        f"{100 * (GOAL - 1 + best.error):.1f} points away, with {first['model']} at width {first['width']}, "
        f"{shape}, {first['epochs']} epochs of batch {first['batch_size']}{''.join(beside)}"
    )


def _percent(error: float) -> str:
    """Of the accuracy."""
    return f"{100 * (1 - error):.1f} %"


def _study_table(runs: list[dict[str, Any]]) -> str:
    """With its command."""
    found, first = summaries(runs), runs[0]
    shown = table([*INTEGER_HEADINGS], [list(row) for row in integer_rows(found)])
    protocol, shape = first["protocol"], "x".join(map(str, first["in_shape"]))
    wide = "" if first["width"] == PROTOCOLS[protocol].width else f" --width {first['width']}"
    intro = (
        f"`run.py study integer --preset {protocol}{wide} --data PATH`: {first['model']} at width "
        f"{first['width']} ({first['parameters']:,} parameters), {shape}, {first['epochs']} epochs of "
        f"{first['images'][0]:,} images, batch {first['batch_size']} ({first['data']}; {machines(runs)}; "
        f"{known_to(runs)})"
    )
    return "\n\n".join(filter(None, (intro, shown, one_by_one_words(found), integer_standing(found))))


def _figure(study: str) -> list[str]:
    return [picture(study, "error against memory")] if is_drawn(study) else []
