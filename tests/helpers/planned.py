"""Results of small plans, as the command line makes them."""

from functools import cache

from blockwise.experiment.compare import compare
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.result import Result
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    TrainingSettings,
)


@cache
def planned_result(
    model: str, regimes: tuple[str, ...], in_shape: tuple[int, ...] = (1, 8, 8), *, head: str = "gap"
) -> Result:
    """The dry run of ``model`` at batch 16, made once."""
    return compare(
        prepare(
            Config(
                network=NetworkSettings(model=model, head=head),
                images=ImageSettings(in_shape=in_shape),
                training=TrainingSettings(regimes=regimes),
                output=OutputSettings(dry_run=True),
            )
        )
    )
