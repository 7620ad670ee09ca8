"""Write the README's figures from results/*.json, between its begin and end marks.

    python benchmarks/readme.py [--check]

With ``--check`` nothing is written; the exit code tells whether the README is up to date.
"""

import json
import math
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blockwise import quant
from blockwise.report.integers import HEADINGS as INTEGER_HEADINGS
from blockwise.report.integers import integer_rows
from blockwise.report.methods import HEADINGS as METHOD_HEADINGS
from blockwise.report.methods import method_cells
from blockwise.report.qat import HEADINGS, cells
from blockwise.report.uncertainty import half_width, known_to, wilson
from blockwise.studies import qat as qat_study
from blockwise.studies import records
from blockwise.studies.summary import summaries
from blockwise.system.files import atomic_write
from devices.boards.profile import KIB

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def load(name: str) -> dict[str, Any]:
    """A file of results/."""
    data: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text("utf-8"))
    return data


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def kib(count: int) -> str:
    """Bytes as KiB."""
    return f"{count / 1024:,.1f}"


def comparison(name: str, *, timed: bool = False) -> str:
    """Memory and accuracy of a recorded run, with its conditions and, on request, its duration."""
    result = load(name)
    regimes = result["regimes"]
    batches = sorted({batch for r in regimes for batch in r["peak_by_batch"]}, key=int)
    rows = [
        ["peak, KiB", *(kib(r["peak_bytes"]) for r in regimes)],
        ["on the board", *("fits" if r["fits"] else "does not fit" for r in regimes)],
        ["bp : regime", *(f"{regimes[0]['peak_bytes'] / r['peak_bytes']:.2f}x" for r in regimes)],
        *_best_baseline(result),
        *([f"at batch {b}", *(_at(r, b) for r in regimes)] for b in batches),
    ]
    rows.append(["test accuracy", *(_accuracy(r) for r in regimes)])
    rows.append(["95% interval", *(_interval(r, result["data"]["test"]) for r in regimes)])
    rows.append(["validation, best epoch", *(_validation(r["training"]) for r in regimes)])
    rows.append(["epochs", *(_epochs(r, result) for r in regimes)])
    rows.append(["work : bp", *(f"{r['macs_per_step'] / _plain_macs(result):.2f}x" for r in regimes)])
    header = ["", *(f"`{r['regime']}`" for r in regimes)]
    duration = f" Planning and training took {result['seconds']:.0f} s." if timed else ""
    return f"{_conditions(result)}{duration}\n\n{table(header, rows)}"


def _at(regime: dict[str, Any], batch: str) -> str:
    """The peak at another batch size; "-" where the regime cannot be trained at it."""
    peak = regime["peak_by_batch"].get(batch)
    return "-" if peak is None else kib(peak)


def _best_baseline(result: dict[str, Any]) -> list[list[str]]:
    """The row that compares with the best form of backpropagation, if the record has it."""
    if "baselines" not in result:
        return []
    best = min((b for b in result["baselines"] if not b.get("obstacle")), key=lambda row: row["peak_bytes"])
    ratios = (f"{best['peak_bytes'] / r['peak_bytes']:.2f}x" for r in result["regimes"])
    return [[f"best bp (`{best['regime']}`, {kib(best['peak_bytes'])}) : regime", *ratios]]


def _accuracy(regime: dict[str, Any]) -> str:
    same = regime.get("trained_as")
    return f"{regime['test_accuracy']:.1%}" + (f" (= `{same}`)" if same else "")


def _interval(regime: dict[str, Any], images: int) -> str:
    low, high = wilson(regime["test_accuracy"], images)
    return f"{100 * low:.1f} to {high:.1%}"


def _validation(training: dict[str, Any]) -> str:
    accuracy = training["validation_accuracy"]
    shown = "-" if accuracy is None else f"{accuracy:.1%}"
    return f"{shown}, {training['best_epoch']} of {training['epochs']}"


def _epochs(regime: dict[str, Any], result: dict[str, Any]) -> str:
    """Of each block in turn, or of all at once."""
    one_by_one = regime["regime"] == "local-resident"
    blocks = regime["training"].get("phases", len(result["model"]["blocks"]) if one_by_one else 1)
    epochs = str(regime["training"]["epochs"])
    return f"{blocks} x {epochs}" if blocks > 1 else epochs


def _plain_macs(result: dict[str, Any]) -> int:
    """Of a step of bp."""
    macs: int = next(r["macs_per_step"] for r in result["regimes"] if r["regime"] == "bp")
    return macs


def memory_only(name: str) -> str:
    """Peaks of a recorded dry run at its own batch size."""
    result = load(name)
    header = ["", *(f"`{r['regime']}`" for r in result["regimes"])]
    rows = [
        ["peak, KiB", *(kib(r["peak_bytes"]) for r in result["regimes"])],
        ["on the board", *("fits" if r["fits"] else "does not fit" for r in result["regimes"])],
    ]
    batch, model = result["config"]["batch_size"], result["model"]
    text = (
        f"Batch {batch}, head {model['head']}, {len(model['blocks'])} blocks balanced for it; network, bits "
        "and optimizer as above."
    )
    return f"{text}\n\n{table(header, rows)}"


def _conditions(result: dict[str, Any]) -> str:
    config, model, data, host = (result[key] for key in ("config", "model", "data", "environment"))
    device = result["device"]
    return (
        f"{device['title']}, {kib(device['ram_bytes'])} KiB of RAM; {model['name']} at width "
        f"{model['width']} ({model['parameters']:,} parameters), {len(model['blocks'])} blocks, head "
        f"{model['head']}; {config['method']}, W{config['weight_bits']}A{config['activation_bits']}, "
        f"{config['optimizer']}, peak learning rate {config['lr']}, batch {config['batch_size']}, "
        f"{config['epochs']} epochs (of each block in `local-resident`). {data['name']}: "
        f"{data['train']:,} training, {data['validation']:,} validation, {data['test']:,} test images; "
        f"{data['augmentation']}. Seed {result['seed']}, n = 1; the epoch is chosen on the validation "
        f"images, of equal ones the latest; the interval is that of the test images alone (Wilson), another "
        f"seed may lie outside. torch {host['torch']}, {host['threads']} threads of {host['processor']}, "
        f"{host['accelerator']}."
    )


def speed() -> str:
    """Step times and ratios of benchmarks/step_time.py."""
    result = load("step_time")
    conditions = result["conditions"]
    intro = (
        f"`uv run benchmarks/step_time.py --compile`: ResNet-20 at width 16, batch {conditions['batch']}, "
        f"{'x'.join(map(str, conditions['shape']))}, 10 blocks, {conditions['threads']} threads of "
        f"{conditions['processor']}, torch {conditions['torch']}; medians of {conditions['rounds']} "
        "interleaved rounds, ratios within a round. The plain loop uses PyTorch's default layout, ours "
        "channels last."
    )
    batch = conditions["batch"]
    rows = [[name, f"{s * 1e3:,.1f}", f"{batch / s:,.0f}"] for name, s in result["seconds"].items()]
    ratios = [[name, f"{value:.3f}"] for name, value in result["ratios"].items()]
    return "\n\n".join((intro, table(["step", "ms", "images/s"], rows), table(["ratio", "median"], ratios)))


def baselines() -> str:
    """benchmarks/baselines.py: the regimes by three routes."""
    result = load("baselines")
    c = result["conditions"]
    intro = (
        f"`uv run benchmarks/baselines.py`: {c['model']} at width {c['width']}, "
        f"{'x'.join(map(str, c['in_shape']))}, float32, {c['optimizer']}, {c['blocks']} blocks with "
        f"{c['head']} heads, `bp-micro` one image at a time; KiB. *Program*: a direct C implementation; "
        f"*arena*: its addresses; *PyTorch*: the schedule of what eager PyTorch {c['torch']} does, and the "
        "storages counted in a real step of it."
    )
    header = ["batch, regime", "program", "arena", "PyTorch, scheduled", "PyTorch, counted", "MMAC/image",
              "flash/step"]  # fmt: skip
    rows = [
        [
            f"{r['batch']}, `{r['regime']}`",
            *(kib(r[key]) for key in ("device_bytes", "arena_bytes", "pytorch_bytes", "counted_bytes")),
            f"{r['macs'] / r['batch'] / 1e6:,.1f}", kib(r["flash_bytes"]),
        ]
        for r in result["rows"]
    ]  # fmt: skip
    return f"{intro}\n\n{table(header, rows)}"


def arena() -> str:
    """benchmarks/arena.py: gaps and times."""
    result = load("arena")
    steps, hard = result["training"], result["hard"]
    slowest = max(steps, key=lambda row: row["seconds"])
    tight, tight_hard = (sum(row["gap"] == 0 for row in rows) for rows in (steps, hard))
    return (
        f"`uv run benchmarks/arena.py`, {result['conditions']['processor']}: the arena is as low as the live "
        f"bytes (gap 0) in {tight} of {len(steps)} training steps of built-in networks, torchvision's "
        f"ResNet-50 and a synthetic one of 2,000 tensors (at most {max(row['gap'] for row in steps):.2%} "
        f"above in the others), the slowest in {slowest['seconds'] * 1e3:.0f} ms ({slowest['model']}, "
        f"`{slowest['regime']}`, {slowest['buffers']:,} tensors); in {tight_hard} of {len(hard)} generated "
        "hard instances of 100 to 200 tensors, the slowest in "
        f"{max(row['seconds'] for row in hard) * 1e3:.0f} ms.{_large(result)}{_public(result)}"
    )


def _large(result: dict[str, Any]) -> str:
    """Perfect packings by their number of tensors; nothing where none is recorded."""
    told = []
    for count in sorted({row["buffers"] for row in result.get("large", [])}):
        rows = [row for row in result["large"] if row["buffers"] == count]
        gap, seconds = (max(row[key] for row in rows) for key in ("gap", "seconds"))
        told.append(f"{gap:.2%} with {count:,} tensors ({len(rows)}, the slowest in {seconds:.1f} s)")
    return f" Cut rectangles end at most this far above the optimum: {', '.join(told)}." if told else ""


def _public(result: dict[str, Any]) -> str:
    """MiniMalloc's instances; nothing where they are not recorded."""
    rows = result.get("public", [])
    if not rows:
        return ""
    slowest = max(rows, key=lambda row: row["seconds"])
    fitting = sum(row["fits"] for row in rows)
    return (
        f" Of MiniMalloc's {len(rows)} public instances, {fitting} are placed within "
        f"their {result['conditions']['public_capacity']:,} bytes, the slowest ({slowest['instance']}) in "
        f"{slowest['seconds']:.1f} s."
    )


def study_memory() -> str:
    """results/study_memory.json: totals and the sum of their differences."""
    result = load("study_memory")
    rows = [
        [
            f"{t['precision']} {t['phase']}", f"{t['total']['study']} MB", kib(t["total"]["formula_bytes"]),
            kib(t["total"]["program_bytes"]), _largest(t["differences"]),
        ]
        for t in result["tables"]
    ]  # fmt: skip
    header = ["batch 1", "study", "its formula, KiB", "program, KiB", "the largest difference"]
    return table(header, rows)


def _largest(differences: list[dict[str, Any]]) -> str:
    found = max(differences, key=lambda d: abs(d["bytes"]))
    return f"{kib(found['bytes'])} KiB: {found['words']}"


def fit() -> str:
    """results/fit.json: how fast candidates are looked at."""
    result = load("fit")
    conditions = result["conditions"]
    return (
        f"`uv run benchmarks/fit.py`: {result['looked_at']:,} candidates in {result['median_seconds']:.1f} s "
        f"on {conditions['jobs']} cores of {conditions['processor']} (median of {conditions['rounds']} "
        "rounds)."
    )


def precision() -> str:
    """results/precision_short.jsonl: width and error per budget and bits, and the figure."""
    lines = (ROOT / "results" / "precision_short.jsonl").read_text("utf-8").splitlines()
    runs = [json.loads(line) for line in lines]
    first = runs[0]
    compressions = sorted({r["compression"] for r in runs})
    cells = {(r["compression"], r["bits"]): f"{r['width']}: {r['test_error']:.1%}" for r in runs}
    rows = [
        [str(bits), *(cells.get((c, bits), "-") for c in compressions)]
        for bits in sorted({r["bits"] for r in runs})
    ]
    train, validation, test = first["images"]
    intro = (
        f"`--preset {first['protocol']}`: {first['model']} on {first['data']} at "
        f"{'x'.join(map(str, first['in_shape']))}, {first['epochs']} epochs of {train:,} images, batch "
        f"{first['batch_size']}, {first['optimizer']}, peak learning rate {first['learning_rate']}, LSQ "
        f"(float32 at 32 bits); epoch chosen on {validation:,} validation images, error on {test:,} test "
        f"images, seed {first['seed']}, n = 1; {first['environment']['threads']} thread of "
        f"{first['environment']['processor']}. Width: test error. So short a training does not rank "
        f"precisions for good; it shows the method. {known_to(runs)}"
    )
    picture = "![error against bits](results/precision_short.svg)"
    return "\n\n".join((intro, table(["bits", *(f"M0/{c}" for c in compressions)], rows), picture))


def qat_runs() -> list[dict[str, Any]]:
    """results/qat_short.jsonl."""
    return records.read(ROOT / "results" / "qat_short.jsonl")


def qat() -> str:
    """The recorded study of methods, trained globally, best first."""
    return _qat_table([r for r in qat_runs() if r["regime"] == "bp"], {"regime", "head, cut", "time"})


def qat_local() -> str:
    """Block by block, beside backpropagation of the same methods."""
    runs = qat_runs()
    compared = {_as_trained(r) for r in runs if r["regime"] != "bp"}
    return _qat_table([r for r in runs if _as_trained(r) in compared], {"time", "reference"})


def qat_activations() -> str:
    """Methods with activations of their own beside the same weights with LSQ's."""
    found = [r for r in qat_runs() if r["regime"] == "bp"]
    runs = {(r["method"], r["activation_method"], r["residual"]): r for r in found}
    pairs = [
        (name, skip, run, runs.get((name, "lsq", skip)))
        for (name, own, skip), run in runs.items()
        if name == own != "lsq"
    ]
    rows = [
        [name, skip, *(f"{100 * r['test_error']:.1f}%, {_widths(r)}" for r in (own, other))]
        for name, skip, own, other in pairs
        if other
    ]
    return table(["weights", "skip", "own activations", "LSQ's activations"], rows)


def _as_trained(run: dict[str, Any]) -> tuple[Any, ...]:
    return run["method"], run["activation_method"], run["residual"], _widths(run)


def _widths(run: dict[str, Any]) -> str:
    return f"W{run['weight_bits']}A{run['activation_bits']}"


def _qat_table(runs: list[dict[str, Any]], hidden: set[str]) -> str:
    """Trainings shared their machine with other work: their times do not compare, those of steps do."""
    columns = [i for i, heading in enumerate(HEADINGS) if heading not in hidden]
    rows = [[cells(summary)[i] for i in columns] for summary in qat_study.summaries(runs)]
    return f"{_qat_conditions(runs)}\n\n{table([HEADINGS[i] for i in columns], rows)}"


def _qat_conditions(runs: list[dict[str, Any]]) -> str:
    first = runs[0]
    train, validation, test = first["images"]
    seeds = sorted({r["seed"] for r in runs})
    hosts = {(r["environment"]["processor"], r["environment"]["torch"]): r for r in runs}
    machines = " or ".join(f"{processor}, torch {version}" for processor, version in hosts)
    return (
        f"`--preset {first['protocol']}`: {first['model']} at width {first['width']} on {first['data']} at "
        f"{'x'.join(map(str, first['in_shape']))}, {first['epochs']} epochs of {train:,} images, batch "
        f"{first['batch_size']}, {first['optimizer']}, peak learning rate {first['learning_rate']}; epoch "
        f"chosen on {validation:,} validation images, error on {test:,} test images; seeds "
        f"{', '.join(map(str, seeds))}; {first['environment']['threads']} thread of {machines}. "
        f"{known_to(runs)}"
    )


def quantizers() -> str:
    """results/quantizers.json: times relative to float32."""
    result = load("quantizers")
    found = {mode: result.get(mode, {}).get("methods", {}) for mode in ("eager", "compiled")}
    names = list(dict.fromkeys([*found["eager"], *found["compiled"]]))
    rows = [[name, *(_ratio(methods.get(name)) for methods in found.values())] for name in names]
    c = next(iter(result.values()))["conditions"]
    intro = (
        "`uv run benchmarks/quantizers.py [--compile]`: forward, backward and update of ResNet-20 at width "
        f"16, batch {c['batch']}, {'x'.join(map(str, c['shape']))}, against float32 in the same rounds. "
        + "; ".join(_where(mode, table["conditions"]) for mode, table in result.items())
        + "."
    )
    return f"{intro}\n\n{table(['method', 'eager : eager fp32', 'compiled : compiled fp32'], rows)}"


def _where(mode: str, c: dict[str, Any]) -> str:
    """What one column was measured on."""
    threads = "1 thread" if c["threads"] == 1 else f"{c['threads']} threads"
    return f"{mode}: {threads} of {c['processor']}, torch {c['torch']}, medians of {c['rounds']} rounds"


def _ratio(found: dict[str, float] | None) -> str:
    return f"{found['ratio']:.2f}" if found else "-"


def all_methods() -> str:
    """results/all_methods.json: how many trainings stay finite."""
    result = load("all_methods")
    rows = result["rows"]
    finite = sum(math.isfinite(row["last"]) for row in rows)
    names = {row["method"] for row in rows}
    return (
        f"`uv run benchmarks/all_methods.py PATH`: {finite} of {len(rows)} trainings of ResNet-20 at width 8 "
        f"on {result['data']} at 16x16 ({len(names)} methods, three bits or their own and two where they "
        f"have them, `bp` and `local`, {result['steps']} steps) stay finite."
    )


def methods() -> str:
    """The catalogue."""
    rows = [[*method_cells(entry)] for entry in quant.METHODS.values()]
    return table([*METHOD_HEADINGS], rows)


def integer() -> str:
    """results/integer.json: the digits on integers alone."""
    result = load("integer")
    host = result["environment"]
    train, validation, test = result["images"]
    learnt = [r["test_accuracy"] for r in result["rows"] if r["regime"] not in result["rivals"]]
    known = max(half_width(accuracy, test) for accuracy in learnt)
    rows = []
    for regime, seconds in result["step_times"].items():
        own = [r for r in result["rows"] if r["regime"] == regime]
        accuracies = [100 * r["test_accuracy"] for r in own]
        spread = f" ± {statistics.stdev(accuracies):.1f}" if len(own) > 1 else ""
        accuracy, peak = f"{statistics.mean(accuracies):.1f}{spread}%", f"{own[0]['peak_bytes'] / KIB:.1f}"
        rows.append([f"`{regime}`", accuracy, str(len(own)), peak, f"{seconds:.2f}"])
    intro = (
        f"`uv run benchmarks/integer.py`: plain4 at width 16 on the bundled digits, {result['epochs']} "
        f"epochs, batch {result['batch']}, {train:,} training images, the epoch chosen on {validation:,} "
        f"validation images, of equal ones the latest; mean ± standard deviation over n seeds on {test:,} "
        f"test images (one accuracy is known to ±{100 * known:.1f} points by these, 95%); peak on the "
        "STM32F746. "
        "Step: its time over that of the float32 step (`bp` or `local`) of plain6 at width 16, batch 64, "
        f"3x32x32, medians of {result['rounds']} rounds. {host['threads']} thread of {host['processor']}, "
        f"torch {host['torch']}."
    )
    return f"{intro}\n\n{table(['regime', 'test accuracy', 'n', 'peak KiB', 'step : float32'], rows)}"


def integer_study() -> str:
    """results/integer_short.jsonl: integers beside float32 and QAT on CIFAR-10."""
    runs = records.read(ROOT / "results" / "integer_short.jsonl")
    first = runs[0]
    train, validation, test = first["images"]
    floats = next(r for r in runs if r["optimizer"])
    mu = next(r["mu"] for r in runs if "mu" in r)
    host = first["environment"]
    shape, rate = "x".join(map(str, first["in_shape"])), floats["learning_rate"]
    intro = (
        f"`run.py study integer --data PATH`: {first['model']} at width {first['width']} "
        f"({first['parameters']:,} parameters) on {first['data']} at {shape}, {first['epochs']} epochs of "
        f"{train:,} images, batch {first['batch_size']}; block by block: a convolution in each, "
        "pred-pooled heads; "
        f"float32 and LSQ by {floats['optimizer']}, peak learning rate {rate}, integers at "
        f"mu = {mu}; epoch chosen on {validation:,} validation images, error on {test:,} "
        "test images, mean ± standard deviation over n seeds. Peaks of a step on the STM32F746 (312 KiB "
        f"usable) at the training's batch and at batch 1. {host['threads']} thread of {host['processor']}, "
        f"torch {host['torch']}. {known_to(runs)}"
    )
    rows = [list(row) for row in integer_rows(summaries(runs))]
    picture = "![error against memory](results/integer_short.svg)"
    return "\n\n".join((intro, table([*INTEGER_HEADINGS], rows), picture))


SECTIONS: dict[str, Callable[[], str]] = {
    "digits": lambda: comparison("digits", timed=True),
    "cifar": lambda: comparison("cifar10_jpeg"),
    "cifar-one": lambda: memory_only("cifar10_jpeg_batch1"),
    "baselines": baselines,
    "arena": arena,
    "study-memory": study_memory,
    "fit": fit,
    "integer": integer,
    "integer-study": integer_study,
    "methods": methods,
    "all-methods": all_methods,
    "qat": qat,
    "qat-activations": qat_activations,
    "qat-local": qat_local,
    "quantizers": quantizers,
    "precision": precision,
    "speed": speed,
}


def fill(text: str) -> str:
    """``text`` with every marked section made anew."""
    for name, make in SECTIONS.items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        body = make().replace("\\", "\\\\")
        text, found = re.subn(pattern, rf"\1{body}\n\2", text, flags=re.S)
        if found != 1:
            raise SystemExit(f"README.md: section {name!r} stands {found} times, wanted once")
    return text


def main() -> int:
    """Write or check."""
    text = README.read_text("utf-8")
    filled = fill(text)
    if "--check" in sys.argv:
        return int(filled != text)
    atomic_write(README, filled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
