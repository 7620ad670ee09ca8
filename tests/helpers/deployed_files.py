"""A network as the file it is deployed in, predicted from by the package and without it."""

import runpy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from blockwise.data import Normalize
from blockwise.deployed import file
from blockwise.deployed.chain import Steps
from blockwise.deployed.integers import IntegerSteps
from blockwise.models import Chain

EXAMPLE = Path(__file__).parents[2] / "examples" / "predict.py"


def normalize(channels: int) -> Normalize:
    """Constants such as images have."""
    return Normalize(tuple(0.3 + 0.1 * i for i in range(channels)), (0.25,) * channels)


def images(count: int, shape: tuple[int, ...]) -> Tensor:
    """Bytes."""
    return torch.randint(256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def settled(chain: Chain) -> Chain:
    """In evaluation mode, after some batches have set up its norms and quantizers."""
    apply = normalize(chain.in_shape[0])
    with torch.no_grad():
        for _ in range(2):
            chain.train()(apply(images(16, chain.in_shape)))
    return chain.eval()


def written(path: Path, steps: Steps | IntegerSteps) -> file.Deployed:
    """The steps as a file says them."""
    dtype = file.INTEGER if isinstance(steps, IntegerSteps) else file.FLOAT
    header = {"format": file.FORMAT, "dtype": dtype}
    path.write_bytes(file.payload(file.Deployed(header, tuple(steps.steps), steps.tensors)))
    return file.read(path)


def predicted(path: Path, samples: Tensor) -> Any:
    """By the example, which knows nothing but the file."""
    return runpy.run_path(str(EXAMPLE))["predict"](str(path), samples)
