"""Statements of operations that make gradients of weights and move these by them."""

from collections.abc import Sequence

from blockwise.firmware.emit.integers.context import Context, coding
from blockwise.firmware.emit.integers.state import drawn
from blockwise.firmware.emit.text import IN_FLASH, flash_offsets, literal
from blockwise.integer.nitro import optimizer_of
from blockwise.integer.update import FIRST_MU, STATE_BITS
from devices.network import Layer
from devices.program.integer import COUNT, SEED, is_weight


def weight_sums(c: Context) -> Sequence[str]:
    """The gradient, into a buffer."""
    what = "share" if c.layer.is_shared else "weight"
    if c.operation.adds:
        return [f"add_{what}_sums({_given(c)}, {c.words(c.result('sums'))});"]
    return [f"largest = buffered_{what}_sums({_given(c)}, {c.sums('', c.result('sums'))});"]


def largest_weight_sum(c: Context) -> Sequence[str]:
    """Only the largest is kept."""
    what = "share" if c.layer.is_shared else "weight"
    return [f"largest = largest_{what}_sum({_given(c)});"]


def update(c: Context) -> Sequence[str]:
    """By the gradient that waited in a buffer."""
    layer = c.firmware.layers[c.result("value").removesuffix(".weight")]
    gradient = c.words(c.tensor("gradient").name)
    if layer.is_shared:
        geometry = f"{c.geometry(layer, drawn=True)}, {c.share(layer)}"
        return [f"update_share({geometry}, {_update(c, layer)}, {gradient});"]
    what = "states" if _states(c, layer) else "weights"
    geometry = c.geometry(layer, drawn=_states(c, layer))
    return [f"update_{what}({geometry}, {_update(c, layer)}, {gradient});"]


def jump(c: Context) -> Sequence[str]:
    """Behind the last of the batches that are waited for, by their sum, which begins anew."""
    sums = c.tensor("gradient")
    words = f"{c.words(sums.name)}, {sums.elements}"
    moved = [f"largest = largest_of_added({words});", *update(c), f"clear_words({words});"]
    return [f"if (*{c.words(COUNT)} == {_every(c) - 1}) {{", *(f"    {line}" for line in moved), "}"]


def count_batch(c: Context) -> Sequence[str]:
    """One more is added up, or none yet of those to come."""
    return [f"*{c.words(COUNT)} = (*{c.words(COUNT)} + 1) % {_every(c)};"]


def begin(c: Context) -> Sequence[str]:
    """The head has its first weights; nothing is added up."""
    return [_begun(c, name) for name in c.operation.writes]


def _begun(c: Context, name: str) -> str:
    if not is_weight(name):
        return f"clear_words({c.words(name)}, {c.planned(name).elements});"
    if name in c.firmware.first:
        given = f"{IN_FLASH} + {flash_offsets(c.firmware)[name]}"
        return f"copy_bytes({c.at(name)}, {given}, {c.planned(name).bytes});"
    return f"{drawn(c.firmware, name.removesuffix('.weight'), f'*(uint32_t *)({c.at(SEED)})')};"


def _every(c: Context) -> int:
    return c.firmware.facts.jump_every


def update_by_sums(c: Context) -> Sequence[str]:
    """The gradient is made, and moves the weights at once."""
    if not c.scaled:
        what = "share" if c.layer.is_shared else "states" if _states(c, c.layer) else "weights"
        return [f"update_{what}_by_sums({_given(c)}, {_update(c, c.layer)});"]
    optimizer = optimizer_of(c.place(c.layer.name), FIRST_MU)
    to = literal("integer_sgd", {
        "weights": f"(int32_t *)(void *)({c.at(f'{c.layer.name}.weight')})", "mu": "mu",
        "amplification": optimizer.amplification, "inverse_decay": optimizer.inverse_decay,
    })  # fmt: skip
    return [f"descend{'_share' * c.layer.is_shared}_by_sums({_given(c)}, {to});"]


def _given(c: Context) -> str:
    shared = c.layer.is_shared
    geometry = c.geometry(c.layer, drawn=shared or bool(c.result("generator")))
    geometry = f"{geometry}, {c.share(c.layer)}" if shared else geometry
    return f"{geometry}, {c.errors()}, {c.codes('saved input')}"


def _states(c: Context, layer: Layer) -> bool:
    """Whether weights jump between states."""
    return coding(c.firmware, f"{layer.name}.weight") == "STATES"


def _update(c: Context, layer: Layer) -> str:
    name, states = f"{layer.name}.weight", _states(c, layer)
    mu = f"mu - {STATE_BITS}" if states else "mu"
    drawn = f"(uint32_t *)(void *)({c.at(f'{layer.name}.generator')})" if states else "0"
    return literal("update", {
        "weights": c.at(name), "coding": coding(c.firmware, name), "shift": f"step_shift(largest, {mu})",
        "generator": drawn,
    })  # fmt: skip
