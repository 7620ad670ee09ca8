"""The catalogue of quantization methods and the studies of them."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from blockwise import quant
from blockwise.quant.precision import FLOAT32
from blockwise.report.methods import HEADINGS as METHOD_HEADINGS
from blockwise.report.methods import method_cells
from blockwise.report.precision_front import precision_means, precision_standings
from blockwise.report.qat import DISTANCE, HEADINGS, INTERVAL, cells, distance_notes, qat_standing
from blockwise.report.recipe import additions
from blockwise.report.spreads import MEANS, error_words
from blockwise.report.uncertainty import known_to
from blockwise.studies import qat as qat_study
from blockwise.studies.errors import errors_of
from blockwise.studies.recipe import recipe_of
from blockwise.studies.records import SAME
from blockwise.studies.summary import Summary
from devices.program.regimes import PLAIN, find
from sections.markdown import picture, table
from sections.recorded import load, machines, runs_of

IMAGES = ("data", "in_shape", "augment")
"""What tells a set of images, and what is made of it."""


def methods() -> str:
    """The catalogue."""
    rows = [[*method_cells(entry)] for entry in quant.METHODS.values()]
    return table([*METHOD_HEADINGS], rows)


def all_methods() -> str:
    """results/benchmarks/all_methods.json: how many trainings stay finite."""
    result = load("all_methods")
    rows = result["rows"]
    finite = sum(math.isfinite(row["last"]) for row in rows)
    names = {row["method"] for row in rows}
    return (
        f"`uv run benchmarks/all_methods.py PATH`: {finite} of {len(rows)} trainings of ResNet-20 at width 8 "
        f"on {result['data']} at 16x16 ({len(names)} methods, three bits or their own and two where they "
        f"have them, `bp` and `local`, {result['steps']} steps) stay finite."
    )


def precision_runs() -> list[dict[str, Any]]:
    """results/studies/precision_short.jsonl: those of the first network and images, in all widths."""
    runs = runs_of("precision_short")
    alike = (*(name for name in SAME if name != "width"), "precision", *IMAGES)
    return [run for run in runs if all(run[name] == runs[0][name] for name in alike)]


def precision() -> str:
    """results/studies/precision_short.jsonl: width and error per budget and bits, and the figure."""
    runs = precision_runs()
    first = runs[0]
    means, beside = precision_means(runs)
    seeds = sorted({r["seed"] for r in runs})
    train, validation, test = first["images"]
    intro = (
        f"{_command(first)}: {first['model']} on {first['data']} at "
        f"{'x'.join(map(str, first['in_shape']))}, {first['epochs']} epochs of {train:,} images, batch "
        f"{first['batch_size']}, {first['optimizer']}, peak learning rate {first['learning_rate']}, LSQ "
        f"(float32 at 32 bits); epoch chosen on {validation:,} validation images, error on {test:,} test "
        f"images; seeds {', '.join(map(str, seeds))}; {machines(runs)}. {means.caption}. {MEANS} So short a "
        f"training does not rank precisions for good; it shows the method. {known_to(runs)}"
    )
    tables = (table([*grid.head], [list(row) for row in grid.rows]) for grid in (means, beside))
    shown, differences = tables
    told = f"{beside.caption}. {' '.join(beside.notes)}"
    best = "\n".join(f"- {sentence}" for sentence in precision_standings(runs))
    figure = picture("precision_short", "error against bits")
    return "\n\n".join((intro, shown, told, differences, best, figure))


def qat_runs() -> list[dict[str, Any]]:
    """results/studies/qat_short.jsonl."""
    return _as_preset("short", runs_of("qat_short"))


def qat() -> str:
    """The recorded study of methods, trained globally, best first."""
    return _qat_table(
        [r for r in qat_runs() if find(r["regime"]).plain], {"regime", "head, cut", "time", DISTANCE}
    )


def qat_full() -> str:
    """results/studies/qat_full.jsonl: 24 epochs at full size, globally and block by block."""
    runs = [*runs_of("qat_full"), *_plain_recipes()]
    shown = _qat_table(_of_full(runs), {"time", "host MiB"}, runs)
    return f"{shown}\n\n{picture('qat_full', 'error against stored bits')}"


def full_runs() -> list[dict[str, Any]]:
    """results/studies/qat_full.jsonl, without experiments."""
    return _of_full(runs_of("qat_full"))


def _of_full(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return _as_preset("full", runs)


def _as_preset(name: str, runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that were trained as the preset says, on the images of the first; others are experiments."""
    preset = qat_study.PROTOCOLS[name]
    wanted = {
        "model": qat_study.REFERENCE_MODEL, "width": preset.width, "epochs": preset.epochs,
        "batch_size": preset.batch_size, "optimizer": preset.optimizer, "learning_rate": preset.learning_rate,
    }  # fmt: skip
    found = [run for run in runs if all(run[name] == value for name, value in wanted.items())]
    return [run for run in found if all(run[name] == found[0][name] for name in IMAGES)]


def _plain_recipes() -> list[dict[str, Any]]:
    """Recipes of no more than a regime, a cut, a head and bits: the other study trains them alike."""
    return _of_full(_bare(runs_of("recipe_full")))


def _bare(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those without additions, as codes in float32."""
    return [run for run in runs if not additions(recipe_of(run)) and run["precision"] == FLOAT32]


FRONT_METHODS = ("fp32", "lsq")
"""Of the front page: float32, and the method whose three bits come closest to it."""
FRONT_HEAD = "lookahead:64"
FRONT_BLOCKS, RECIPE_BLOCKS = "4", "6"
"""The one head on it, and the cuts of the study and of the recipe: what others are worth stands in the
documents."""
FRONT_BITS, PAGED = 3, "local-paged"
RECIPES = "[recipes](docs/results.md#recipes-of-local-learning)"
FRONT_COLUMNS = {
    "method": "method", "bits": "bits", "regime": "regime", "head, cut": "head, blocks",
    "test error": "test error", "n": "seeds", "peak KiB": "peak at batch {batch}, KiB",
    "batch 1": "at batch 1, KiB",
}  # fmt: skip


def front() -> str:
    """What three bits and local losses cost at full size: the rows of one network that compare."""
    runs = [r for r in full_runs() if r["method"] in FRONT_METHODS and r["residual"] == "codes"]
    runs = [r for r in runs if (r["head"], r["blocks"]) in ((None, None), (FRONT_HEAD, FRONT_BLOCKS))]
    paged = [_paged(run) for run in _plain_recipes() if _is_best(run)]
    named = {heading: words.format(batch=runs[0]["batch_size"]) for heading, words in FRONT_COLUMNS.items()}
    shown = qat_study.summaries([*runs, *paged])
    rows = [[cells(summary)[HEADINGS.index(h)] for h in named] for summary in shown]
    told = " ".join([conditions([*runs, *paged]), *_share(shown), *_longer(paged), *_wider()])
    return "\n\n".join((told, table([*named.values()], rows)))


def _is_best(run: dict[str, Any]) -> bool:
    """Whether it is of the recipe that is told."""
    own = run["method"], run["weight_bits"], run["head"], run["blocks"]
    return own == ("lsq", FRONT_BITS, FRONT_HEAD, RECIPE_BLOCKS) and run["paged_kib"] is not None


def _paged(run: dict[str, Any]) -> dict[str, Any]:
    """The same weights, as the regime ends with that keeps other blocks in flash."""
    batch, one = run["paged_kib"]
    return run | {"regime": PAGED, "peak_kib": batch, "peak_kib_of_one": one}


def _share(shown: Iterable[Summary]) -> list[str]:
    """Of plain backpropagation's peak, what paged blocks need."""
    peaks = {s.regime: s.peak_kib for s in shown if s.weight_bits == FRONT_BITS}
    if not {PAGED, PLAIN} <= {*peaks}:
        return []
    share = peaks[PAGED] / peaks[PLAIN]
    return [f"`{PAGED}` ends with the weights of `local`, with {share:.0%} of `{PLAIN}`'s peak ({RECIPES})."]


def _longer(recipes: Iterable[dict[str, Any]]) -> list[str]:
    """The same recipes in more epochs: results/studies/recipe_long.jsonl."""
    wanted = {_as_recipe(run) for run in recipes}
    runs = [run for run in _bare(runs_of("recipe_long")) if _as_recipe(run) in wanted]
    if not runs:
        return []
    own = dict(zip(HEADINGS, cells(qat_study.summaries(runs)[0]), strict=True))
    return [f"In {runs[0]['epochs']} epochs it ends at {own['test error']} (n = {own['n']})."]


def _wider() -> list[str]:
    """The recipe of wider networks, whose heads may be wider too and whose simulation is in what is told."""
    found = (run for run in runs_of("recipe_long") if not additions(recipe_of(run)) and run["paged_kib"])
    own = ("lsq", FRONT_BITS, RECIPE_BLOCKS)
    runs = [run for run in found if (run["method"], run["weight_bits"], run["blocks"]) == own]
    widths = sorted({run["width"] for run in runs} - {qat_study.PROTOCOLS["full"].width})
    return [_wide([run for run in runs if run["width"] == width]) for width in widths]


def _wide(runs: list[dict[str, Any]]) -> str:
    """Of one width, the best of what is trained."""
    best = qat_study.summaries(runs)[0]
    run = next(r for r in runs if (r["head"], r["precision"]) == (best.head, best.precision))
    own = dict(zip(HEADINGS, cells(best), strict=True))
    return (
        f"At width {run['width']}, with heads `{best.head}` and simulated in {best.precision}, "
        f"{run['epochs']} epochs end at {own['test error']} (n = {own['n']}), "
        f"at a peak of {run['paged_kib'][0]:,.0f} KiB."
    )


AS_RECIPE = ("width", "method", "weight_bits", "activation_bits", "residual", "blocks", "head")


def _as_recipe(run: dict[str, Any]) -> tuple[Any, ...]:
    """But for the regime: what pages blocks ends with the same weights."""
    return tuple(run[name] for name in AS_RECIPE)


def qat_local() -> str:
    """Block by block, beside backpropagation of the same methods."""
    runs = qat_runs()
    compared = {_as_trained(r) for r in runs if not find(r["regime"]).plain}
    return _qat_table([r for r in runs if _as_trained(r) in compared], {"time", "reference", DISTANCE})


def qat_activations() -> str:
    """Methods with activations of their own beside the same weights with LSQ's."""
    found = [r for r in qat_runs() if find(r["regime"]).plain]
    seeds = defaultdict(list)
    for run in found:
        seeds[_as_trained(run)].append(run)
    rows = [
        [name, skip, *(f"{error_words(errors_of(runs))}, {_widths(runs[0])}" for runs in (own, other))]
        for (name, method, skip, _), own in seeds.items()
        for (*place, _), other in seeds.items()
        if name == method != "lsq" and place == [name, "lsq", skip]
    ]
    return table(["weights", "skip", "own activations", "LSQ's activations"], rows)


def _as_trained(run: dict[str, Any]) -> tuple[Any, ...]:
    return run["method"], run["activation_method"], run["residual"], _widths(run)


def _widths(run: dict[str, Any]) -> str:
    return f"W{run['weight_bits']}A{run['activation_bits']}"


def _qat_table(
    runs: list[dict[str, Any]], hidden: set[str], experiments: list[dict[str, Any]] | None = None
) -> str:
    """Trainings shared their machine with other work: their times do not compare, those of steps do."""
    found = qat_study.summaries(runs, experiments or ())
    if all(summary.deviation is None for summary in found):
        hidden = hidden | {INTERVAL}
    columns = [i for i, heading in enumerate(HEADINGS) if heading not in hidden]
    rows = [[cells(summary)[i] for i in columns] for summary in found]
    shown = table([HEADINGS[i] for i in columns], rows)
    notes = "\n".join(f"- {note}" for note in distance_notes(found))
    return "\n\n".join(filter(None, (conditions(runs), shown, qat_standing(found), notes)))


def conditions(runs: list[dict[str, Any]], *flags: str) -> str:
    """What recorded runs have in common, and the ``flags`` behind the command of their preset."""
    first = runs[0]
    train, validation, test = first["images"]
    seeds = sorted({r["seed"] for r in runs})
    return (
        f"{_command(first, *flags)}: {first['model']} at width {first['width']} on {first['data']} at "
        f"{'x'.join(map(str, first['in_shape']))}, {first['epochs']} epochs of {train:,} images, batch "
        f"{first['batch_size']}, {first['optimizer']}, peak learning rate {first['learning_rate']}; epoch "
        f"chosen on {validation:,} validation images, error on {test:,} test images; seeds "
        f"{', '.join(map(str, seeds))}; {machines(runs)}. {known_to(runs)}"
    )


def _command(run: dict[str, Any], *flags: str) -> str:
    return f"`{' '.join(('run.py study', run['study'], '--preset', run['protocol'], *flags))}`"
