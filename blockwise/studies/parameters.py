"""The reference study's sizes of well-known networks, counted from torchvision's models.

The study prints whole "MB" and mixes conventions: four sizes are float32 parameters in MiB, rounded
up; RetinaNet's is the decimal MB of torchvision's second version, cut off. No single rule of
:data:`READINGS` gives all five, with either RetinaNet. Each row names its rule.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from blockwise.studies.memory_result import ParameterRow
from devices.program.accountings import FLOAT_BITS

MB, MIB = 1_000_000, 2**20

READINGS: dict[str, Callable[[int], int]] = {
    "MiB, rounded up": lambda size: -(-size // MIB),
    "MiB, rounded": lambda size: (size + MIB // 2) // MIB,
    "MiB, cut off": lambda size: size // MIB,
    "MB, rounded up": lambda size: -(-size // MB),
    "MB, rounded": lambda size: (size + MB // 2) // MB,
    "MB, cut off": lambda size: size // MB,
}
"""How bytes may have become a whole number of "MB"."""


@dataclass(frozen=True)
class Published:
    """A size that the study prints, and the torchvision model that it may stand for."""

    title: str
    data: str  # whose classes the head has
    study: int  # as printed, "MB"
    model: str


PUBLISHED = (
    Published("ResNet-18", "ImageNet", 45, "resnet18"),
    Published("ResNet-50", "ImageNet", 98, "resnet50"),
    Published("MobileNet-v2", "ImageNet", 14, "mobilenet_v2"),
    Published("EfficientNet-b0", "ImageNet", 21, "efficientnet_b0"),
    Published("RetinaNet", "COCO", 152, "retinanet_resnet50_fpn"),
    Published("RetinaNet", "COCO", 152, "retinanet_resnet50_fpn_v2"),
)


def parameter_table() -> tuple[ParameterRow, ...]:
    """Count every model of :data:`PUBLISHED`. Nothing is allocated or downloaded."""
    rows = [_row(published) for published in PUBLISHED]
    explains = Counter(name for row in rows for name in row.readings)
    return tuple(
        replace(row, reading=max(row.readings, key=explains.__getitem__, default=None)) for row in rows
    )


def _row(published: Published) -> ParameterRow:
    count = count_parameters(published.model)
    size = count * FLOAT_BITS // 8
    fitting = readings(size, published.study)
    return ParameterRow(
        published.title, published.data, published.model, count, size, published.study, fitting, None
    )


def uniform_readings(rows: Sequence[ParameterRow]) -> tuple[str, ...]:
    """The rules that give the study's figure of every network, whichever of its models is meant."""
    titles = {row.title for row in rows}
    explained = {name: {row.title for row in rows if name in row.readings} for name in READINGS}
    return tuple(name for name in READINGS if explained[name] == titles)


def readings(size: int, study: int) -> tuple[str, ...]:
    """The rules that make ``study`` of ``size`` bytes."""
    return tuple(name for name, rule in READINGS.items() if rule(size) == study)


def count_parameters(model: str) -> int:
    """Parameters of a torchvision model, built without weights on the meta device."""
    from torchvision import models  # type: ignore[import-untyped]  # slow to import, needed here only

    options = {"weights_backbone": None} if model in models.list_models(models.detection) else {}
    with torch.device("meta"):
        network = models.get_model(model, weights=None, **options)
    return sum(parameter.numel() for parameter in network.parameters())
