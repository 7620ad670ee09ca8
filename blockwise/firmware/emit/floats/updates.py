"""The loss, gradients that meet, and the optimizer's step."""

import math
from collections.abc import Sequence

from blockwise.firmware.emit.floats.operands import Operands
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, number
from devices.network.ops import DistilledCrossEntropy
from devices.program.operation import Operand, Stored

Lines = list[str]
RATE = "learning_rate"
"""The static variable."""
BYTE_BITS = 8
SIGNS = (("loss plus", "+"), ("loss minus", "-"))
"""Of the passes of a direction."""


def pace_of(site: Site, name: str) -> str:
    """``struct pace`` of a parameter."""
    pace = site.facts.paces[name]
    rate = RATE if pace.rate == 1.0 else f"{RATE} * {number(pace.rate)}"
    share = pace.share or 0.0
    return f"(struct pace){{{rate}, {number(pace.decay)}, {number(share)}, {number(pace.smallest)}}}"


def update(site: Site) -> Lines:
    """A parameter takes its step."""
    name, gradient = site.operation.subject, site.floats(site.stored("gradient"))
    states, momentum = site.floats(site.result("state")), number(site.facts.momentum)
    count, pace = site.tensor(name).elements, pace_of(site, name)
    return [call("update", count, site.floats(name), gradient, states, momentum, pace)]


def keep(site: Site) -> Lines:
    """What the next block reads by, before it changes."""
    copy = site.made("copy")
    return [
        call("copy_floats", site.floats(copy), site.floats(site.stored("value")), site.tensor(copy).elements)
    ]


def copy_gradient(site: Site) -> Lines:
    """Another layer still needs it as it is; also where two of them are added."""
    target, source = site.made("gradient"), site.stored("gradient")
    move = "add_floats" if target in site.operation.adds else "copy_floats"
    return [call(move, site.floats(target), site.floats(source), site.tensor(target).elements)]


def loss(site: Site) -> Lines:
    """weight (softmax - one-hot) / images over the logits, if it is read; the losses if wanted."""
    logits, labels, *answer = (x for role, x in site.operation.operands if role == "input")
    assert isinstance(labels, Stored)
    output = site.made("output")
    rows, classes = site.batch(output), math.prod(site.tensor(output).shape[1:])  # perhaps of 1x1 maps
    at, size = Operands(site).at(logits, (classes,)), site.tensor(labels.tensor).bits // BYTE_BITS
    row = site.row(labels.tensor)
    told = (f"{site.bytes(labels.tensor)} + {size} * {row}" if row else site.bytes(labels.tensor)), size
    lines = _told(site, rows, classes, at, told)
    if lines and not _is_read(site, output):
        return lines
    weight = site.facts.loss_weights.get(site.layer.name, 1.0)
    images, to = number(site.facts.images / weight), site.floats(output)
    if answer:
        taught = (*told, *_answer(site, answer), to)
        return [call("distilled_cross_entropy", rows, classes, images, at, "held", *taught)]
    return [*lines, call("cross_entropy", rows, classes, images, at, "held", *told, to)]


def _answer(site: Site, answer: Sequence[Operand]) -> tuple[str, str, str]:
    """A teacher's logits, their temperature and their share in the loss."""
    (logits,) = answer
    op = site.layer.op
    assert isinstance(logits, Stored)
    assert isinstance(op, DistilledCrossEntropy)
    return site.floats(logits.tensor), number(op.temperature), number(op.weight)


def _told(site: Site, rows: int, classes: int, logits: str, labels: tuple[str, int]) -> Lines:
    """The losses of a pass go to the difference of its direction."""
    for role, sign in SIGNS:
        name = site.result(role)
        if name is not None:
            found = f"cross_entropy_losses({rows}, {classes}, {logits}, held, {labels[0]}, {labels[1]})"
            return [f"({site.floats(name)})[{site.operation.draw}] {sign}= {found};"]
    return []


def _is_read(site: Site, name: str) -> bool:
    return any(name in later.reads for later in site.schedule.operations[site.index + 1 :])


def loss_backward(site: Site) -> Lines:
    """It is there already."""
    target, source = site.made("input gradient"), site.stored("saved output")
    if target == source:
        return []
    return [call("copy_floats", site.floats(target), site.floats(source), site.tensor(target).elements)]
