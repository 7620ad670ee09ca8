"""What a search's figures depend on beside the space."""

import platform
from dataclasses import asdict
from typing import Any

import torch

import blockwise
from blockwise.experiment.provenance import git_commit
from blockwise.fit.networks import BALANCING_HEAD, Model
from blockwise.fit.space import Space
from devices.boards.profile import Device


def conditions(model: Model, device: Device, space: Space) -> dict[str, Any]:
    """The model, the board, the step that blocks are balanced for while searching, and versions."""
    return {
        "model": asdict(model),
        "device": device.name,
        "device_title": device.title,
        "ram_bytes": device.ram_bytes,
        "reserve_bytes": device.reserve_bytes,
        "flash_bytes": device.flash_bytes,
        "alignment_bytes": device.alignment_bytes,
        "balanced_for": asdict(space.reference) | {"head_of_baselines": BALANCING_HEAD},
        "blockwise": blockwise.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "git_commit": git_commit(),
    }
