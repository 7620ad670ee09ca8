"""Image folders of random pictures of cats and dogs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blockwise.data import Dataset
from devices.errors import InputError

Load = Callable[..., Dataset]


def picture(mode: str, size: tuple[int, int] = (6, 6), seed: int = 0) -> Image.Image:
    """A random image of the given Pillow mode."""
    draw = np.random.default_rng(seed)
    width, height = size
    if mode == "I;16":
        return Image.fromarray(draw.integers(0, 65536, (height, width)).astype(np.uint16))
    colour = Image.fromarray(draw.integers(0, 256, (height, width, 3)).astype(np.uint8))
    return colour.convert(mode)


def fill(root: Path, mode: str = "RGB", suffix: str = "png", **options: Any) -> Path:
    """Two classes with three training images and one test image each."""
    for split, count in (("train", 3), ("test", 1)):
        for label, name in enumerate(("cat", "dog")):
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                image = picture(mode, seed=10 * i + label + 100 * (split == "test"), **options)
                image.save(folder / f"{i}.{suffix}")
    return root


def refusal(read: Load, path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(path, **options)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2
    return str(raised.value)
