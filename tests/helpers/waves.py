"""Waves of three kinds in two channels, of ten people."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def waves(count: int = 120, length: int = 24) -> dict[str, npt.NDArray[Any]]:
    """Arrays as a file has them; the kind of a wave is its frequency, the second channel is noise."""
    draw = np.random.default_rng(0)
    kinds, people = np.arange(count) % 3, np.arange(count) // 3 % 10
    phase, size = draw.uniform(0, 6, (count, 1)), draw.uniform(0.5, 2, (count, 1))
    wave = size * np.sin(np.arange(length) * (0.25 + 0.4 * kinds[:, None]) + phase)
    x = np.stack([wave, draw.normal(9, 0.2, wave.shape)], 1).astype(np.float32)
    train = people < 8
    return {
        "x_train": x[train], "y_train": kinds[train], "x_test": x[~train], "y_test": kinds[~train],
        "group_train": people[train], "group_test": people[~train],
    }  # fmt: skip


def save(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> Path:
    """As an .npz file, or a folder of .npy files."""
    if path.suffix == ".npz":
        np.savez(path, allow_pickle=True, **arrays)
    else:
        path.mkdir(parents=True)
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
    return path
