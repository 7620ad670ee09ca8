"""Statements of operations that move weights along random directions, and that tell losses."""

from collections.abc import Sequence

from blockwise.firmware.emit.integers.context import Context
from blockwise.firmware.emit.integers.state import filters
from blockwise.firmware.integer_facts import DirectionFacts
from blockwise.integer.rounding import bit_length
from blockwise.integer.tensor import INT8


def zero(c: Context) -> Sequence[str]:
    """Differences to which every pass adds."""
    (name,) = c.operation.writes
    return [f"for (uint32_t k = 0; k < {c.planned(name).elements}; k++) {_differences(c, name)}[k] = 0;"]


def forth(c: Context) -> Sequence[str]:
    """W + z, of weights that leave room for it."""
    return [_moved(c, 1, INT8.high - _facts(c).told.range)]


def back(c: Context) -> Sequence[str]:
    """From W + z to W - z."""
    return [_moved(c, -2, INT8.high)]


def restore(c: Context) -> Sequence[str]:
    """From W - z to W."""
    return [_moved(c, 1, INT8.high)]


def update(c: Context) -> Sequence[str]:
    """By the sign of the difference of each direction."""
    facts, name = _facts(c), c.tensor("differences").name
    shift = f"{bit_length(facts.told.range)} - (mu + {facts.more_bits})"
    given = f"{_filters(c)}, {facts.told.range}, {_state(c, 'k')}, {_differences(c, name)}[k], {shift}"
    return [f"for (uint32_t k = 0; k < {facts.told.directions}; k++) step_along({given});"]


def told(c: Context, losses: str) -> Sequence[str]:
    """The sum of ``losses`` goes to the difference of the pass's direction, if a program wants it."""
    for role, sign in (("loss plus", "+"), ("loss minus", "-")):
        name = c.result(role)
        if name:
            return [f"{_differences(c, name)}[{c.operation.draw}] {sign}= {losses};"]
    return []


def _moved(c: Context, by: int, most: int) -> str:
    state = _state(c, str(c.operation.draw))
    return f"perturb({_filters(c)}, {_facts(c).told.range}, {state}, {by}, {most});"


def _state(c: Context, index: str) -> str:
    """The first state of the tensor's generator in direction ``index`` of the step."""
    facts = _facts(c)
    number = facts.numbers[_layer(c)]
    return f"direction_state(directions_seed, {number}, steps * {facts.told.directions} + {index})"


def _filters(c: Context) -> str:
    return f"{filters(c.firmware, _layer(c))}, {c.share(c.firmware.layers[_layer(c)])}"


def _layer(c: Context) -> str:
    return c.operation.subject.removesuffix(".weight")


def _differences(c: Context, name: str) -> str:
    return f"((int32_t *)(void *)({c.at(name)}))"


def _facts(c: Context) -> DirectionFacts:
    facts = c.firmware.facts.directions
    assert facts is not None
    return facts
