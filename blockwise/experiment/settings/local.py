"""What blocks that learn together may do beside learning by labels, each in every step."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from blockwise.training.options import ZHANG
from devices.errors import InputError
from devices.program.distillation import HIGHEST_TEMPERATURE, Distillation
from devices.program.regimes.skipping import check_share


def distillation(given: str, flag: str = "--distill") -> Distillation:
    """Of T or T:WEIGHT. Raises InputError, about ``flag``, for anything else."""
    temperature, colon, weight = given.partition(":")
    try:
        found = Distillation(float(temperature), float(weight) if colon else ZHANG.weight)
    except (ValueError, InputError) as error:
        raise InputError(
            flag, got=repr(given), do=f"try {words(ZHANG)}",
            wanted=f"T or T:WEIGHT, T above 0 up to {HIGHEST_TEMPERATURE:g}, WEIGHT above 0 up to 1",
        ) from error  # fmt: skip
    return found


def words(told: Distillation) -> str:
    """As the flag takes it."""
    return f"{told.temperature:g}:{told.weight:g}"


@dataclass(frozen=True)
class LocalSettings:
    """What blocks do that learn together, in local and local-paged; global regimes take no notice."""

    distill: Annotated[
        str | None,
        arg(
            metavar="T[:WEIGHT]",
            help="In local and local-paged the last block teaches the heads before it: WEIGHT (default "
            f"{ZHANG.weight:g}) of their loss is the distance to the network's own answer before the step, "
            f"both at temperature T (3, say).",
            help_behavior_hint="(default: labels alone)",
        ),
    ] = None
    skip_heads: Annotated[
        float,
        arg(
            metavar="P",
            help="In local and local-paged each block but the last skips a step with this probability: it "
            "hands on, and does not learn.",
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        _ = self.distillation
        check_share("--skip-heads", self.skip_heads)

    @property
    def distillation(self) -> Distillation | None:
        """As a training takes it. Raises InputError for what is none."""
        return None if self.distill is None else distillation(self.distill)
