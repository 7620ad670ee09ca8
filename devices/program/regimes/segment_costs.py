"""What the stretches of a network between two possible cuts save and need, read off its schedules.

One schedule in which everything is kept and one forward pass that keeps nothing tell all that decides
which segments are best (:mod:`devices.program.regimes.recompute`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, islice, pairwise

from devices.network import LABELS, Layer, Network
from devices.program.categories import SAVED_ACTIVATIONS
from devices.program.ledger import Ledger
from devices.program.operation import tensors_of
from devices.program.regimes.ahead import behind_frozen, entrance
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.recompute import Costs, Input, Stretch, cheapest
from devices.program.regimes.segments import Segment, backpropagate, boundaries
from devices.program.schedule import Schedule

GOING_FORWARD = ("load", "forward")


def best_segments(network: Network, layers: Sequence[Layer], step: Step, batch: int) -> list[Segment]:
    """The best segments of ``layers`` for ``batch`` images at a time.

    The fewest recomputed multiply-accumulates with which the step stays within
    ``step.limit_bytes``; if there are none, or no limit, the lowest peak.
    """
    costs = measure(network, layers, step, batch)
    cuts, choice = costs.cuts, cheapest(costs, step.limit_bytes)
    return [Segment(tuple(layers[cuts[i] : cuts[j]]), again) for i, j, again in choice.segments]


def measure(network: Network, layers: Sequence[Layer], step: Step, batch: int) -> Costs:
    """Read the stretches off a schedule in which every layer is kept."""
    build = Builder(network, step, batch=batch)
    everything = build.train_all()
    whole = batch == step.batch
    if not whole:
        build.lowering.accumulate(network.blocks[0].name)
    build.load()
    behind_frozen(build, everything, at_once=not whole)
    backpropagate(build.lowering, [Segment(tuple(layers), recompute=False)], fused=whole)
    cuts = (0, *_inner_cuts(build, layers), len(layers))
    return _read(build, build.finish(), layers, cuts, _passing(build, layers, cuts))


def _inner_cuts(build: Builder, layers: Sequence[Layer]) -> list[int]:
    """Where layers may be cut. Of the cuts before and after a view, which are the same, the latter."""
    outputs = build.lowering.values.outputs
    inner = boundaries(layers, entrance(layers))[1:-1]
    return [
        i
        for i in inner
        if i + 1 not in inner
        or tensors_of(outputs[layers[i].name]) != tensors_of(outputs[layers[i - 1].name])
    ]


def _tensors_of(build: Builder, name: str) -> tuple[str, ...]:
    """The tensors that a layer's output is read from."""
    return tensors_of(build.lowering.values.outputs[name])


def _stretch_of(layers: Sequence[Layer], cuts: tuple[int, ...]) -> dict[str, int]:
    return {layer.name: bisect_right(cuts, i) - 1 for i, layer in enumerate(layers)}


def _sizes(schedule: Schedule, alignment: int) -> dict[str, int]:
    return {name: t.aligned_bytes(alignment) for name, t in schedule.tensors.items()}


def _passing(build: Builder, layers: Sequence[Layer], cuts: tuple[int, ...]) -> list[tuple[int, int]]:
    """Most live bytes of each stretch in a forward pass that keeps nothing, with and without its input."""
    step, batch = build.step, build.lowering.batch
    build = Builder(build.network, step, batch=batch)
    everything = build.train_all()
    build.load()
    behind_frozen(build, everything, at_once=batch != step.batch)
    build.lowering.forward(layers, keep=False)
    schedule = build.finish()
    size, stretch_of = _sizes(schedule, step.alignment), _stretch_of(layers, cuts)
    base = sum(size[name] for name, t in schedule.tensors.items() if t.resident)
    sources = [entrance(layers), *(layers[cut - 1].name for cut in cuts[1:-1])]
    crossing, lifetimes = (
        [_tensors_of(build, name) for name in sources],
        schedule.lifetimes,
    )
    most = [(0, 0)] * len(sources)
    lives = Ledger(schedule, step.alignment).live_bytes
    for i, (operation, live) in enumerate(zip(schedule.operations, lives, strict=True)):
        k = stretch_of.get(operation.layer)
        if k is not None:
            beside = sum(size[t] for t in crossing[k] if i <= lifetimes[t][1])
            most[k] = max(most[k][0], live - base), max(most[k][1], live - base - beside)
    return most


def _read(
    build: Builder, schedule: Schedule, layers: Sequence[Layer], cuts: tuple[int, ...],
    passing: Sequence[tuple[int, int]],
) -> Costs:  # fmt: skip
    alignment, count = build.step.alignment, len(cuts) - 1
    size, stretch_of = _sizes(schedule, alignment), _stretch_of(layers, cuts)
    saved, images = _saved(schedule, size, stretch_of, count)
    crossing = [_unsaved(build, schedule, entrance(layers))]
    crossing += [_tensors_of(build, layers[cut - 1].name) for cut in cuts[1:-1]]
    inputs = _inputs(build, schedule, size, stretch_of, crossing)
    labels = sum(size[name] for name in _tensors_of(build, LABELS))
    lasting = {name for name, t in schedule.tensors.items() if t.resident}
    base = images + sum(size[name] for name in lasting.union(build.lowering.accumulators.values()))
    before = [0, *accumulate(saved)]
    forward, alone, backward, k = [0] * count, [0] * count, [0] * count, 0
    unread = _forward_readers(schedule, stretch_of, crossing)
    lives = Ledger(schedule, alignment).live_bytes
    first = next(i for i, operation in enumerate(schedule.operations) if operation.layer in stretch_of)
    for operation, live in islice(zip(schedule.operations, lives, strict=True), first, None):
        k = stretch_of.get(operation.layer, k)
        own = live - base - before[k]
        if operation.phase in GOING_FORWARD:
            beside = inputs[k].size if inputs[k].saved and unread[k] else 0
            unread[k] -= bool(set(operation.reads).intersection(crossing[k]))
            forward[k] = max(forward[k], own - labels)
            alone[k] = max(alone[k], own - labels + beside)
        else:
            backward[k] = max(backward[k], own)
    arrived = build.lowering.arrived
    gradients = [sum(size[t] for t in arrived.get(layers[cut - 1].name, ())) for cut in cuts[1:]]
    macs = [sum(x.macs for x in layers[i:j]) * build.step.batch for i, j in pairwise(cuts)]
    rows = zip(
        inputs, saved, gradients, forward, alone, *zip(*passing, strict=True), backward, macs, strict=True
    )
    return Costs(base, labels, cuts, tuple(Stretch(*row) for row in rows), max(lives[:first]))


def _unsaved(build: Builder, schedule: Schedule, name: str) -> tuple[str, ...]:
    """The tensors of what the first stretch reads, unless they are kept as images are."""
    tensors = _tensors_of(build, name)
    saved = any(schedule.tensors[t].category == SAVED_ACTIVATIONS for t in tensors)
    return () if saved else tensors


def _inputs(
    build: Builder,
    schedule: Schedule,
    size: dict[str, int],
    stretch_of: dict[str, int],
    crossing: Sequence[tuple[str, ...]],
) -> list[Input]:
    last: dict[str, int] = {}  # the last stretch that reads a tensor going back
    for name, k in stretch_of.items():
        saved = build.lowering.saved.get(name, ())
        last.update(dict.fromkeys((t for _, operand in saved for t in tensors_of(operand)), k))
    return [
        Input(
            sum(size[t] for t in tensors),
            saved=any(schedule.tensors[t].category == SAVED_ACTIVATIONS for t in tensors),
            needed=any(last.get(t, -1) >= k for t in tensors),
        )
        for k, tensors in enumerate(crossing)
    ]


def _forward_readers(
    schedule: Schedule, stretch_of: dict[str, int], crossing: Sequence[tuple[str, ...]]
) -> list[int]:
    """How many operations of each stretch read what crosses into it, going forward."""
    count = [0] * len(crossing)
    for operation in schedule.operations:
        k = stretch_of.get(operation.layer)
        if k is not None and operation.phase in GOING_FORWARD:
            count[k] += bool(set(operation.reads).intersection(crossing[k]))
    return count


def _saved(
    schedule: Schedule, size: dict[str, int], stretch_of: dict[str, int], count: int
) -> tuple[list[int], int]:
    """Bytes that each stretch saves, and those of the images."""
    saved, images = [0] * count, 0
    seen: set[str] = set()
    for operation in schedule.operations:
        new = set(operation.writes) - seen
        seen |= new
        total = sum(size[n] for n in new if schedule.tensors[n].category == SAVED_ACTIVATIONS)
        if operation.phase == "load" or operation.layer not in stretch_of:
            images += total
        elif total:
            saved[stretch_of[operation.layer]] += total
    return saved, images
