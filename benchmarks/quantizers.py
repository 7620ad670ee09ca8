"""Training-step times of every quantization method relative to float32, on ResNet-20.

    python benchmarks/quantizers.py [--methods lsq dorefa] [--compile] [--rounds 9] [--threads 2]
        [--record]

Each method is timed against float32 in the same process, one step each in turn, forward, backward and
update; quoted are medians of the ratios within a round. With ``--compile`` both are compiled (a minute
a method). Where brevitas is installed, its W3A3 network stands in the same table. Every method's ratio
is kept in quantizers.json as soon as it is known; others that are there under the same conditions stay.
"""

import gc
import json
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import output
import torch
from torch import nn

from blockwise import models, quant
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.nets.compiling import compiled
from blockwise.quant import ParameterRules
from blockwise.studies.qat import catalogue
from blockwise.system.processor import processor
from blockwise.training import REGIMES, calibration
from blockwise.training.features import LAYOUT, in_layout
from blockwise.training.updater import Updater
from devices.program.regimes import Step

BATCH, SHAPE = 128, (3, 32, 32)
LIMITS = {"eager": 2.5, "compiled": 1.2}
COMPILED_WITHIN_LIMIT = ("lsq", "dorefa", "pact", "sat")
"""The methods that have to be fast when compiled; the others are measured."""
BREVITAS = "brevitas"


def stepper(method: str, *, compile: bool) -> Callable[[], None]:
    """A step of the shared training loop, bp, at three bits or what the method has."""
    torch.manual_seed(0)
    chain = models.build("resnet20", SHAPE)
    groups = Anatomy(chain, "gap").cut("stages", Step())
    if method == BREVITAS:
        with_brevitas(chain)
    else:
        quant.quantize(chain, method)
    net = in_layout(BlockNet(chain, groups, "gap"))
    x = torch.randn(BATCH, *SHAPE).contiguous(memory_format=LAYOUT)
    y = torch.arange(BATCH) % 10
    regime = REGIMES["bp"]
    calibration.pass_floats(net)
    phase = regime.phases(net)[0]
    with torch.no_grad():
        net(x)
    updater = Updater(net.parameters(), "sgd-momentum", fused=False, rules=ParameterRules.of(net))
    updater.set_learning_rate(0.01)
    stepped = compiled(net) if compile else net

    def step() -> None:
        regime.step(stepped, phase, x, y)
        updater.finish_step()

    return step


def with_brevitas(chain: nn.Module) -> None:
    """Put brevitas's 3-bit layers in place of convolutions, linear layers and ReLUs; 8 bits at the ends.

    As with LSQ here, scales of activations are trained. Brevitas's statistics for their start end after
    one step, not 300: in those, each step would sort every tensor, which the rest of a training does not.
    """
    from brevitas.nn import QuantConv2d, QuantLinear, QuantReLU

    leaves = [(p, m) for p, m in chain.named_modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.ReLU)]
    weighted = [path for path, module in leaves if not isinstance(module, nn.ReLU)]
    for path, old in leaves:
        bits = 8 if path in (weighted[0], weighted[-1]) else 3
        new: nn.Module
        if isinstance(old, nn.Conv2d):
            new = QuantConv2d(
                old.in_channels, old.out_channels, old.kernel_size, stride=old.stride, padding=old.padding,
                bias=old.bias is not None, weight_bit_width=bits,
            )  # fmt: skip
        elif isinstance(old, nn.Linear):
            new = QuantLinear(old.in_features, old.out_features, bias=True, weight_bit_width=bits)
        else:
            new = QuantReLU(bit_width=3, collect_stats_steps=1)
        chain.set_submodule(path, new)


def ratio(method: str, rounds: int, *, compile: bool) -> tuple[float, float]:
    """Median over rounds of the method's time over float32's; and its median time in seconds."""
    steps = stepper("fp32", compile=compile), stepper(method, compile=compile)
    ratios, seconds = [], []
    for index in range(rounds + 2):
        found = [timed(step) for step in steps]
        if index >= 2:
            ratios.append(found[1] / found[0])
            seconds.append(found[1])
    return statistics.median(ratios), statistics.median(seconds)


def timed(step: Callable[[], None]) -> float:
    """Seconds of one step."""
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def add(mode: str, method: str, found: dict[str, Any], conditions: dict[str, Any], *, record: bool) -> None:
    """Add one figure to those that are kept."""
    tables: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        tables = json.loads(output.file_of("quantizers", record=record).read_text("utf-8"))
    if tables.get(mode, {}).get("conditions") != conditions:
        tables[mode] = {"conditions": conditions, "methods": {}}
    tables[mode]["methods"][method] = found
    output.keep("quantizers", tables, record=record)


def conditions_of(threads: int, rounds: int) -> dict[str, Any]:
    """What figures of one table share, as JSON gives it back."""
    return {
        "torch": torch.__version__, "threads": threads, "rounds": rounds, "processor": processor(),
        "batch": BATCH, "shape": list(SHAPE),
    }  # fmt: skip


def names(asked: list[str]) -> list[str]:
    """The methods to time; brevitas with them where it is installed."""
    if asked:
        return asked
    found = [name for name in catalogue() if name != "fp32"]
    with suppress(ImportError):
        import brevitas  # noqa: F401

        found.append(BREVITAS)
    return found


def main() -> None:
    """Time, print and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--methods", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    mode = "compiled" if arguments.compile else "eager"
    conditions = conditions_of(arguments.threads, arguments.rounds)
    for method in names(arguments.methods):
        found, seconds = ratio(method, arguments.rounds, compile=arguments.compile)
        limited = not arguments.compile or method in COMPILED_WITHIN_LIMIT
        verdict = ("met" if found <= LIMITS[mode] else "NOT met") if limited and method != BREVITAS else "-"
        print(f"{mode:9}{method:16}{found:6.2f}x fp32   {seconds * 1e3:7.1f} ms   {verdict}", flush=True)
        figure = {"ratio": round(found, 3), "seconds": round(seconds, 4)}
        add(mode, method, figure, conditions, record=arguments.record)
        gc.collect()


if __name__ == "__main__":
    main()
