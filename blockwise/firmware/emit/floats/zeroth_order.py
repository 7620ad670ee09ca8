"""Zeroth order: parameters go along random directions that the seed draws again, and losses are told."""

from blockwise.firmware.emit.floats.shares import Share
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, number
from blockwise.firmware.emit.floats.updates import pace_of
from blockwise.firmware.float_facts import FloatDirections

Lines = list[str]
SEED = "directions_seed"
"""The static variable."""


def zero(site: Site) -> Lines:
    """Differences to which every pass adds."""
    (name,) = site.operation.writes
    return [call("fill_floats", site.floats(name), site.tensor(name).elements, "0.0f")]


def forth(site: Site) -> Lines:
    """w + e z."""
    return _moved(site, 1)


def back(site: Site) -> Lines:
    """From w + e z to w - e z."""
    return _moved(site, -2)


def restore(site: Site) -> Lines:
    """From w - e z to w."""
    return _moved(site, 1)


def update(site: Site) -> Lines:
    """w - rate (g + decay w), g the mean over directions of (difference of mean losses) / 2 e times z."""
    name, differences, facts = site.operation.subject, site.stored("differences"), _facts(site)
    assert differences is not None
    count = site.tensor(differences).elements
    states = ", ".join(_state(site, str(k)) for k in range(count))
    divisor = number(2 * facts.eps * site.facts.images * count)
    along = count, "states", site.floats(differences), divisor, pace_of(site, name)
    return [f"uint32_t states[] = {{{states}}};", call("step_along", _share(site), site.floats(name), *along)]


def _moved(site: Site, by: int) -> Lines:
    value, facts = site.operation.subject, _facts(site)
    state = _state(site, str(site.operation.draw))
    return [call("move_along", _share(site), site.floats(value), state, number(by * facts.eps))]


def _share(site: Site) -> Share:
    """The trained weights of a layer, or all of another parameter."""
    name = site.operation.subject
    layer, _, what = name.rpartition(".")
    count = site.tensor(name).elements
    found = site.schedule.layers[layer]
    return Share.of(site, found) if what == "weight" else Share(1, count, 0, count, count)


def _state(site: Site, index: str) -> str:
    """The first state of the parameter's generator in direction ``index`` of the step."""
    facts = _facts(site)
    of_step = f"steps * {facts.directions} + {index}"
    return f"direction_state({SEED}, {facts.numbers[site.operation.subject]}, {of_step})"


def _facts(site: Site) -> FloatDirections:
    facts = site.facts.directions
    assert facts is not None
    return facts
