"""Random pixels, and the one line of a refusal."""

import pytest
import torch

from devices.errors import InputError


def pixels(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def message(raised: pytest.ExceptionInfo[InputError]) -> str:
    text = str(raised.value)
    assert "\n" not in text
    return text
