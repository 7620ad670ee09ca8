"""A network from its exported file alone: what it predicts, the classes' names, and its weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from blockwise.data import Normalize, Scaling
from blockwise.deployed import file
from blockwise.deployed.file import FAMILY, FORMAT
from blockwise.deployed.program import Function, Program

__all__ = ["FAMILY", "FORMAT", "Exported", "load", "read"]


@dataclass(frozen=True, eq=False)
class Exported:
    """What :func:`load` makes of a file."""

    program: Program
    normalize: Normalize  # of integer regimes, which read bytes, for the record
    classes: tuple[str, ...]
    header: dict[str, str]
    scaling: Scaling | None = None  # of values that were no bytes

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores (B, K) of uint8 images (B, *in_shape), or of measured values where there is a scaling.

        Logits; of integer regimes whole numbers that compare within an image.
        """
        if self.scaling is not None and images.dtype != torch.uint8:
            images = self.scaling(images)
        return self.program(images)


def load(path: Path, operations: Mapping[str, Function] | None = None) -> Exported:
    """The trained network of a file, of whatever regime and module; ``operations`` are those from outside.

    Raises InputError for a file that :func:`blockwise.experiment.export.export` did not write, and for an
    operation that is not known.
    """
    deployed = file.read(path)
    header = deployed.header
    with file.whole(path):
        images = json.loads(header["input"])
        normalize = Normalize(tuple(images["mean"]), tuple(images["std"]))
        scaling = Scaling(tuple(images["low"]), tuple(images["high"])) if "low" in images else None
        classes = tuple(json.loads(header["class_names"]))
    return Exported(deployed.program(operations), normalize, classes, header, scaling)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The network's tensors in float, weights as training computes with them, and the file's header.

    Raises InputError for a file that :func:`blockwise.experiment.export.export` did not write.
    """
    deployed = file.read(path)
    return deployed.weights(), deployed.header
