"""Arenas: how far above the peak of live bytes they end, and how long the plan takes.

    python benchmarks/arena.py [--instances FOLDER] [--time-limit 30] [--workers 2] [--record]

First the schedules of training steps, model by model and regime by regime, and a synthetic step of
2,000 tensors, planned without a time limit. Then, each within the time limit: twenty generated
instances that are hard (rectangles cut recursively, so that a plan without a gap is known to exist,
and heavy-tailed lifetimes and sizes as in compiler traces), larger cut rectangles, and with
``--instances`` the files A.csv to K.csv of google/minimalloc in that folder, which have to fit into
1,048,576 bytes. Every plan passes the verifier. The result goes to stdout and
to arena.json.
"""

import random
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import output

import devices
from blockwise import models
from blockwise.system.processor import processor
from devices.memory.arena import Arena, Buffer, buffers_of, csv_form, pack, solver, violations
from devices.program.regimes import REGIMES
from devices.program.schedule import Program, Schedule
from devices.trainability import obstacle

MODELS = ("resnet20", "resnet56", "vgg8b", "vgg11b", "mlp", "cnn")
LARGE, LARGE_SHAPE, CLASSES = "torchvision:resnet50", (3, 224, 224), 1000
CHAINS = ("vgg8b", "vgg11b", "mlp", "cnn")
BATCHES = (1, 32)
HEAD = "lookahead:16"
ALIGNMENT = 8
REPEATS = 3
ALLOWED_GAP = 0.03
SEEDS = tuple(range(10))
LARGE_CUTS = ((1000, tuple(range(5))), (5000, (0,)))
"""Pieces and seeds of the larger rectangles."""
PUBLIC_CAPACITY = 1_048_576
CUT_HEIGHT = 4096
"""Units of the rectangle that is cut."""


def schedules() -> Iterator[tuple[dict[str, Any], Schedule]]:
    """Training steps at the models' published widths, and the synthetic one."""
    for name in (*MODELS, LARGE):
        shape, classes = (LARGE_SHAPE, CLASSES) if name == LARGE else ((3, 32, 32), 10)
        model, blocks = models.build(name, shape, classes), "layers" if name in CHAINS else "residual"
        network = model.describe(blocks=blocks, head=HEAD)
        for regime, batch in product(REGIMES, BATCHES):
            if not obstacle(network, regime, batch):  # nobody runs the others
                plan = devices.plan(network, "stm32", regime=regime, batch_size=batch)
                yield {"model": name, "regime": regime, "batch": batch}, plan.schedule
    yield {"model": "synthetic", "regime": "bp", "batch": 1}, synthetic_step(400)


def synthetic_step(layers: int) -> Schedule:
    """A plain network's step: per layer a weight, an activation, an error, a gradient and scratch."""
    rng, program = random.Random(0), Program()
    sizes = [rng.choice((256, 512, 1024, 4096)) for _ in range(layers + 1)]
    for i in range(layers):
        weights = rng.choice((144, 576, 2304))
        program.tensor(f"w{i}", (weights,), 32, "latent weights", "b", resident=True)
        program.tensor(f"g{i}", (weights,), 32, "weight gradients", "b")
        program.tensor(f"s{i}", (rng.choice((9, 144)),), 32, "scratch", "b")
        program.tensor(f"a{i}", (sizes[i],), 8, "saved activations", "b")
        program.tensor(f"e{i}", (sizes[i],), 32, "working tensors", "b")
    for i in range(layers):
        reads: tuple[str, ...] = (f"a{i - 1}", f"w{i}") if i else (f"w{i}",)
        program.emit(f"forward {i}", "forward", "b", reads=reads, writes=(f"a{i}", f"s{i}"))
    for i in reversed(range(layers)):
        reads = (f"e{i + 1}",) if i + 1 < layers else ()
        program.emit(f"error {i}", "backward", "b", reads=(*reads, f"w{i}"), writes=(f"e{i}",))
        program.emit(f"gradient {i}", "backward", "b", reads=(f"e{i}", f"a{i}"), writes=(f"g{i}",))
    for i in range(layers):
        program.emit(f"update {i}", "update", "b", reads=(f"g{i}", f"w{i}"), writes=(f"w{i}",))
    return program.finish()


def cut_rectangle(count: int, seed: int) -> list[Buffer]:
    """``count`` pieces of a rectangle, cut in two again and again: they fill it without a gap."""
    rng, length = random.Random(seed), 4 * count
    pieces = [(0, length, 0, CUT_HEIGHT)]
    while len(pieces) < count:
        sample = rng.sample(range(len(pieces)), min(4, len(pieces)))
        chosen = max(sample, key=lambda i: (pieces[i][1] - pieces[i][0]) * (pieces[i][3] - pieces[i][2]))
        left, right, low, high = pieces.pop(chosen)
        wide, tall = (right - left) / length, (high - low) / CUT_HEIGHT
        if right - left > 1 and (rng.random() < wide / (wide + tall) or high - low == 1):
            at = _cut(rng, left, right)
            pieces += [(left, at, low, high), (at, right, low, high)]
        elif high - low > 1:
            at = _cut(rng, low, high)
            pieces += [(left, right, low, at), (left, right, at, high)]
        else:
            pieces.append((left, right, low, high))
    rng.shuffle(pieces)
    return [Buffer(f"p{i}", (h - lo) * ALIGNMENT, le, ri) for i, (le, ri, lo, h) in enumerate(pieces)]


def _cut(rng: random.Random, start: int, end: int) -> int:
    """A place strictly inside, not too close to the rim of a long stretch."""
    rim = max(1, (end - start) // 5)
    return rng.randint(start + rim, end - rim)


def heavy_tails(count: int, seed: int) -> list[Buffer]:
    """Many short-lived buffers and a few that live long, with sizes over several orders of magnitude."""
    rng, buffers = random.Random(seed), []
    for i in range(count):
        span = min(count, max(1, round(rng.paretovariate(1.0) * count / 10)))
        start = rng.randint(0, count - span)
        buffers.append(Buffer(f"t{i}", max(1, round(rng.lognormvariate(8, 1.3))), start, start + span))
    return buffers


HARD = {"cut rectangle": cut_rectangle, "heavy tails": heavy_tails}


def timed(
    buffers: list[Buffer] | tuple[Buffer, ...], alignment: int = ALIGNMENT, **options: Any
) -> tuple[Arena, float]:
    """A verified plan and the seconds that it took."""
    started = time.perf_counter()
    arena = pack(buffers, alignment, **options)
    seconds = time.perf_counter() - started
    places = {name: (0, offset) for name, offset in arena.offsets.items()}
    assert not violations(arena.buffers, places, [(0, arena.height)], alignment=alignment)
    return arena, seconds


def row(about: dict[str, Any], arena: Arena, seconds: float) -> dict[str, Any]:
    """One line of the table, printed as it is made."""
    found = {
        **about, "buffers": len(arena.buffers), "height": arena.height, "bound": arena.bound,
        "proven_bound": arena.proven_bound, "gap": arena.gap, "proven": arena.proven,
        "method": arena.method, "seconds": seconds,
    }  # fmt: skip
    what = " ".join(str(value) for value in about.values())
    print(
        f"{what:32}{len(arena.buffers):6} buffers {arena.height:12,} bytes  gap {arena.gap:7.3%}"
        f" {'proven' if arena.proven else 'not proven':11}{seconds * 1e3:9.1f} ms  {arena.method}",
        flush=True,
    )
    return found


def training_rows() -> list[dict[str, Any]]:
    """The schedules, without a time limit."""
    rows = []
    for about, schedule in schedules():
        buffers = buffers_of(schedule, ALIGNMENT)
        runs = [timed(buffers) for _ in range(REPEATS)]
        rows.append(row(about, runs[0][0], min(seconds for _, seconds in runs)))
    return rows


def hard_rows(**options: Any) -> list[dict[str, Any]]:
    """The generated instances that are hard."""
    return [
        row({"kind": kind, "seed": seed}, *timed(generate(100 + 11 * seed, seed), **options))
        for kind, generate in HARD.items()
        for seed in SEEDS
    ]


def large_rows(**options: Any) -> list[dict[str, Any]]:
    """The larger rectangles."""
    return [
        row({"kind": "cut rectangle", "seed": seed}, *timed(cut_rectangle(count, seed), **options))
        for count, seeds in LARGE_CUTS
        for seed in seeds
    ]


def public_rows(folder: Path, **options: Any) -> list[dict[str, Any]]:
    """MiniMalloc's instances, and whether they fit."""
    rows = []
    for path in sorted(folder.glob("*.csv")):
        table = csv_form.read(path)
        arena, seconds = timed(table.buffers, table.alignment, capacity=PUBLIC_CAPACITY, **options)
        fits = arena.height <= PUBLIC_CAPACITY
        rows.append(row({"instance": path.stem}, arena, seconds) | {"fits": fits})
    return rows


def main() -> None:
    """Plan, print and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--instances", type=Path, help="folder of MiniMalloc's A.csv to K.csv")
    parser.add_argument("--time-limit", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    options = {"time_limit": arguments.time_limit, "workers": arguments.workers}
    public = public_rows(arguments.instances, **options) if arguments.instances else []
    training, hard, large = training_rows(), hard_rows(**options), large_rows(**options)
    met = sum(line["proven"] or line["gap"] <= ALLOWED_GAP for line in hard)
    print(f"training steps without a gap: {sum(not line['gap'] for line in training)} of {len(training)}")
    print(f"hard instances within {ALLOWED_GAP:.0%} or proven: {met} of {len(hard)}")
    gaps = ", ".join(f"{line['gap']:.2%} of {line['buffers']:,}" for line in large)
    print(f"gaps of the larger cut rectangles: {gaps}")
    print(f"public instances that fit: {sum(line['fits'] for line in public)} of {len(public)}")
    conditions = {
        "processor": processor(), "workers": arguments.workers, "time_limit_s": arguments.time_limit,
        "alignment": ALIGNMENT, "head": HEAD, "seeds": SEEDS, "repeats_of_training_steps": REPEATS,
        "public_capacity": PUBLIC_CAPACITY,
        "seconds": "training steps: best of the repeats, no time limit; all others: one run",
        "ortools": solver.available(),
    }  # fmt: skip
    record = {"conditions": conditions, "training": training, "hard": hard, "large": large, "public": public}
    output.keep("arena", record, record=arguments.record)


if __name__ == "__main__":
    main()
