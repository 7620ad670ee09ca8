"""Training-step times of ResNet-20 (batch 128, 3x32x32), ours beside the plainest PyTorch loop.

    python benchmarks/step_time.py [--rounds 11] [--compile] [--threads 2] [--only NAME ...] [--record]

All variants run in one process, one step each in turn, so that a machine that slows down slows all
of them; quoted are medians, and ratios as medians of the ratios within a round. With ``--compile``
the compiled variants are timed as well (compiling takes a quarter of an hour). What the processor has of
``--precision codes`` and ``bf16`` is timed too. The result goes to stdout and to step_time.json, which has
one for each instruction set that PyTorch's kernels are chosen by.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import output
import torch
from torch.nn import functional as F

from blockwise import models, quant
from blockwise.data import Augment, Normalize, Split, batches
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.nets.compiling import compiled
from blockwise.quant.precision import BF16, CODES, FLOAT32, PRECISIONS, available, fallback, lower
from blockwise.system.allocator import keeping_freed_memory
from blockwise.system.processor import processor
from blockwise.training import REGIMES
from blockwise.training.features import LAYOUT, in_layout
from blockwise.training.updater import Updater
from devices.program.regimes import Step, find, update_of

BATCH, SHAPE, IMAGES = 128, (3, 32, 32), 1280


class Limit(NamedTuple):
    """What a time, over that of the fastest of ``under``, is wanted to be at most."""

    over: str
    under: tuple[str, ...]
    limit: float


FP32 = ("fp32 bp", "fp32 bp compiled")
LOCAL = ("fp32 local lookahead", "fp32 local lookahead compiled")
AHEAD = "w3a3 local lookahead compiled"
LAID_OUT = "plain fp32 channels last"
LIMITS = {
    "time of fp32, ours : plain loop": Limit("fp32 bp", ("plain fp32",), 1 / 0.95),
    "time of fp32, ours : plain loop in our layout": Limit("fp32 bp", (LAID_OUT,), 1 / 0.95),
    "time of W3A3 : fp32": Limit("w3a3 bp", ("fp32 bp",), 1.7),
    "time of W3A3 local with gap heads : bp": Limit("w3a3 local gap", ("w3a3 bp",), 1.25),
    "time of data loading : fp32 step": Limit("data loading", ("fp32 bp",), 0.03),
    "time of compiled W3A3 : best fp32": Limit("w3a3 bp compiled", FP32, 1.0),
    "time of compiled W3A3 on codes : best fp32": Limit("w3a3 bp compiled, codes", FP32, 1.0),
    "time of compiled W3A3 in bf16 : best fp32": Limit("w3a3 bp compiled, bf16", FP32, 0.65),
    "time of compiled fp32 in bf16 : best fp32": Limit("fp32 bp compiled, bf16", FP32, 1.0),
    "time of compiled W3A3 local lookahead : best fp32 one": Limit(
        "w3a3 local lookahead compiled", LOCAL, 1.0
    ),
    "time of the same on codes : best fp32 one": Limit(f"{AHEAD}, codes", LOCAL, 1.0),
    "time of the same in bf16 : best fp32 one": Limit(f"{AHEAD}, bf16", LOCAL, 0.65),
}


def plain_loop(layout: torch.memory_format = torch.contiguous_format) -> Callable[[], None]:
    """model(x), cross entropy, backward, step, zero_grad: nothing of ours but the layers."""
    torch.manual_seed(0)
    model = models.build("resnet20", SHAPE).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    x = torch.randn(BATCH, *SHAPE).contiguous(memory_format=layout)
    y = torch.arange(BATCH) % 10

    def step() -> None:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours(
    method: str, regime_name: str, *, head: str = "gap", compile: bool = False, precision: str = FLOAT32
) -> Callable[[], None]:
    """A step of the shared training loop."""
    torch.manual_seed(0)
    chain = models.build("resnet20", SHAPE)
    groups = Anatomy(chain, head).cut("residual", Step())
    quant.quantize(chain, method, 3, 3)
    net = in_layout(BlockNet(chain, groups, head))
    x = torch.randn(BATCH, *SHAPE).contiguous(memory_format=LAYOUT)
    y = torch.arange(BATCH) % 10
    regime = REGIMES[regime_name]
    phase = regime.phases(net)[0]
    parts = [torch.nn.ModuleList(net.parts(index)) for index in range(len(net))]
    lower(parts if find(regime_name).heads else [net], precision)
    with torch.no_grad():
        net(x)
    updater = Updater(net.parameters(), "sgd-momentum", fused=update_of(regime_name) == "fused")
    updater.set_learning_rate(0.01)
    stepped = compiled(net) if compile else net

    def step() -> None:
        regime.step(stepped, phase, x, y)
        updater.finish_step()

    return step


def data_loading() -> Callable[[], None]:
    """One batch: take, crop, flip, normalise, lay out."""
    images = torch.randint(256, (IMAGES, *SHAPE), dtype=torch.uint8)
    split = Split(images, torch.arange(IMAGES) % 10)
    normalize, augment = Normalize((0.5,) * 3, (0.25,) * 3), Augment(4, True, fill=(127,) * 3)
    epoch = 0
    loader: Iterator[tuple[torch.Tensor, torch.Tensor]] = iter(())

    def step() -> None:
        nonlocal loader, epoch
        batch = next(loader, None)
        if batch is None:
            epoch += 1
            loader = batches(
                split, BATCH, normalize=normalize, epoch=epoch, shuffle=True, augment=augment, drop_last=True
            )
            batch = next(loader)
        batch[0].contiguous(memory_format=LAYOUT)

    return step


def variants(with_compiled: bool) -> dict[str, Callable[[], None]]:
    """What is timed, by name."""
    found = {
        "plain fp32": plain_loop(),
        "plain fp32 channels last": plain_loop(LAYOUT),
        "fp32 bp": ours("fp32", "bp"),
        "w3a3 bp": ours("lsq", "bp"),
        "w3a3 bp-checkpoint": ours("lsq", "bp-checkpoint"),
        "fp32 local gap": ours("fp32", "local"),
        "fp32 local lookahead": ours("fp32", "local", head="lookahead"),
        "w3a3 local gap": ours("lsq", "local"),
        "w3a3 local lookahead": ours("lsq", "local", head="lookahead"),
        "data loading": data_loading(),
    }
    precisions = [name for name in PRECISIONS if available(name, "cpu") == name]
    for precision, (method, bits) in product(precisions, (("fp32", "fp32"), ("lsq", "w3a3"))):
        if precision == CODES and method == "fp32":
            continue  # it has none
        behind = "" if precision == FLOAT32 else f", {precision}"
        for regime, head in (("bp", "gap"), ("local", "lookahead")):
            name = f"{bits} {regime}" + (f" {head}" if find(regime).heads else "")
            if precision != FLOAT32:
                found[f"{name}{behind}"] = ours(method, regime, head=head, precision=precision)
            if with_compiled:
                step = ours(method, regime, head=head, compile=True, precision=precision)
                found[f"{name} compiled{behind}"] = step
    return found


def timed(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant in each round, after two rounds of warm-up, with memory as a run keeps it."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    with keeping_freed_memory():
        for index, (name, step) in product(range(rounds + 2), steps.items()):
            started = time.perf_counter()
            step()
            if index >= 2:
                times[name].append(time.perf_counter() - started)
    return times


def ratio(times: dict[str, list[float]], over: str, under: str) -> float:
    """Median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(times[over], times[under], strict=True))


def ratios_of(times: dict[str, list[float]]) -> dict[str, float]:
    """Of what was timed, each over the fastest of those that it is compared with."""
    medians, found = {name: statistics.median(values) for name, values in times.items()}, {}
    for label, wanted in LIMITS.items():
        under = [name for name in wanted.under if name in times]
        if wanted.over in times and under:
            found[label] = ratio(times, wanted.over, min(under, key=medians.__getitem__))
            met = "met" if found[label] <= wanted.limit else "NOT met"
            print(f"{label:54} {found[label]:6.3f}   wanted at most {wanted.limit:.2f}: {met}")
    return found


def main() -> None:
    """Time, print and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="some of the variants, by name")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for asked in (CODES, BF16):
        print(fallback(asked, "cpu") or f"{asked}: available")
    found = variants(arguments.compile)
    times = timed(
        {n: f for n, f in found.items() if not arguments.only or n in arguments.only}, arguments.rounds
    )
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:38} {value * 1e3:8.1f} ms   {BATCH / value:8.0f} images/s")
    ratios = ratios_of(times)
    conditions = {
        "torch": torch.__version__, "threads": arguments.threads, "rounds": arguments.rounds,
        "processor": processor(), "batch": BATCH, "shape": SHAPE, "freed_memory": "kept",
    }  # fmt: skip
    record = {"conditions": conditions, "seconds": medians, "ratios": ratios}
    kept = output.kept("step_time", record=arguments.record)
    instructions = torch.backends.cpu.get_cpu_capability()
    output.keep("step_time", {**kept, instructions: record}, record=arguments.record)


if __name__ == "__main__":
    main()
