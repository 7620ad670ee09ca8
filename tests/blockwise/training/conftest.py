"""Few images to train on."""

from dataclasses import replace

import pytest
import torch

from blockwise.data import Dataset, load


@pytest.fixture(scope="module")
def digits() -> Dataset:
    full = load("digits", seed=0)
    part = torch.arange(160)
    return replace(full, train=full.train.select(part), test=full.test.select(part[:100]))
