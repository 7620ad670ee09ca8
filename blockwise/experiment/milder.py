"""Settings with which a regime needs less, a step at a time, the mildest first.

An order of updates and a norm that end with the same gradients; then an optimizer with less state, a smaller
head, smaller batches, fewer bits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from blockwise.experiment.config import Config
from devices.errors import InputError
from devices.program.regimes import find
from devices.program.state import OPTIMIZER_STATES

SMALLEST_HEAD = "gap"
FEWER_BITS = (8, 4, 3, 2)


@dataclass(frozen=True)
class Trial:
    """A configuration with something changed."""

    config: Config
    words: tuple[str, ...]  # what was changed, in words


Milder = Callable[[Trial, str], Trial | None]
"""The next milder setting of one kind for a regime; None where there is none."""


def changed(trial: Trial, group: str, words: str, **values: Any) -> Trial | None:
    """The trial with other values in a group of its settings; None where they cannot be."""
    try:
        settings = replace(getattr(trial.config, group), **values)
        return Trial(replace(trial.config, **{group: settings}), (*trial.words, words))
    except InputError:
        return None


def fused_update(trial: Trial, regime: str) -> Trial | None:
    """Each gradient applied and freed as soon as it is there."""
    found = find(regime)
    if (
        found.is_integer
        or found.fixed_update
        or (trial.config.training.asked_update or found.update) == "fused"
    ):
        return None
    return changed(trial, "training", "fused updates", update="fused")


def recomputed_norm(trial: Trial, regime: str) -> Trial | None:
    """Inputs of batch norms computed again instead of kept."""
    if find(regime).is_integer or trial.config.network.norm != "batch":
        return None
    return changed(trial, "network", "batch norms recomputed", norm="batch-recompute")


def sums_twice(trial: Trial, regime: str) -> Trial | None:
    """Sums of integer regimes made twice instead of buffered."""
    if not find(regime).is_integer or trial.config.training.requantize == "twice":
        return None
    return changed(trial, "training", "sums computed twice", requantize="twice")


def smaller_batch(trial: Trial, regime: str) -> Trial | None:
    """Half as many images."""
    batch = trial.config.training.batch_size // 2
    if not batch:
        return None
    kept = tuple(word for word in trial.words if not word.startswith("batch of "))
    return changed(replace(trial, words=kept), "training", f"batch of {batch}", batch_size=batch)


def leaner_optimizer(trial: Trial, regime: str) -> Trial | None:
    """One with less state."""
    states = OPTIMIZER_STATES
    now = states[trial.config.training.optimizer]
    leaner = [name for name, count in states.items() if count < now]
    if find(regime).is_integer or not leaner:
        return None
    name = min(leaner, key=lambda name: states[name])
    return changed(trial, "training", f"optimizer {name}", optimizer=name)


def smaller_head(trial: Trial, regime: str) -> Trial | None:
    """The smallest local head."""
    if not find(regime).heads or trial.config.network.head == SMALLEST_HEAD:
        return None
    return changed(trial, "network", f"head {SMALLEST_HEAD}", head=SMALLEST_HEAD)


def fewer_bits(trial: Trial, regime: str) -> Trial | None:
    """The next fewer bits of weights and activations that the method has."""
    config = trial.config
    if find(regime).is_integer or config.is_float:
        return None
    least = min(config.weight_bits, config.activation_bits)
    for bits in FEWER_BITS:
        words = f"{bits}-bit weights and activations"
        found = changed(trial, "quantization", words, weight_bits=bits, activation_bits=bits)
        if bits < least and found:
            return found
    return None


MILDER: tuple[Milder, ...] = (
    fused_update, recomputed_norm, sums_twice, leaner_optimizer, smaller_head, smaller_batch, fewer_bits,
)  # fmt: skip
