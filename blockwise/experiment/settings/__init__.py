"""The settings of a comparison in groups, one a file: every field is a flag, and checked when it is made."""

from blockwise.experiment.settings.board import BoardSettings
from blockwise.experiment.settings.images import ImageSettings
from blockwise.experiment.settings.local import LocalSettings
from blockwise.experiment.settings.network import NetworkSettings
from blockwise.experiment.settings.output import OutputSettings
from blockwise.experiment.settings.quantization import PAPER, QuantizationSettings
from blockwise.experiment.settings.training import TrainingSettings
from blockwise.experiment.settings.zeroth_order import ZerothOrderSettings

__all__ = [
    "PAPER",
    "BoardSettings",
    "ImageSettings",
    "LocalSettings",
    "NetworkSettings",
    "OutputSettings",
    "QuantizationSettings",
    "TrainingSettings",
    "ZerothOrderSettings",
]
