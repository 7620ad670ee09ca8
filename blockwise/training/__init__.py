"""Training: one regime per file over one shared loop."""

from typing import TYPE_CHECKING

from blockwise.system.lazily import lazily

if TYPE_CHECKING:
    from blockwise.training.catalogue import (
        ALL_REGIMES,
        INTEGER_REGIMES,
        REGIMES,
        float_regime,
        make_regime,
    )
    from blockwise.training.options import TrainOptions, Watcher
    from blockwise.training.phase import Procedure
    from blockwise.training.run import Run
    from blockwise.training.schedules import SCHEDULES
    from blockwise.training.updater import DEFAULT_LEARNING_RATE, OPTIMIZERS, WEIGHT_DECAY
    from devices.program.regimes import DEFAULT_REGIMES

__all__ = [
    "ALL_REGIMES",
    "DEFAULT_LEARNING_RATE",
    "DEFAULT_REGIMES",
    "INTEGER_REGIMES",
    "OPTIMIZERS",
    "REGIMES",
    "SCHEDULES",
    "WEIGHT_DECAY",
    "Procedure",
    "Run",
    "TrainOptions",
    "Watcher",
    "float_regime",
    "make_regime",
]

_HOMES = {
    "blockwise.training.catalogue": (
        "ALL_REGIMES", "INTEGER_REGIMES", "REGIMES", "float_regime", "make_regime",
    ),
    "blockwise.training.options": ("TrainOptions", "Watcher"),
    "blockwise.training.phase": ("Procedure",),
    "blockwise.training.run": ("Run",),
    "blockwise.training.schedules": ("SCHEDULES",),
    "blockwise.training.updater": ("DEFAULT_LEARNING_RATE", "OPTIMIZERS", "WEIGHT_DECAY"),
    "devices.program.regimes": ("DEFAULT_REGIMES",),
}  # fmt: skip

__getattr__, __dir__ = lazily(__name__, _HOMES)
