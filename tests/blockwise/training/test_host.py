"""What PyTorch holds on this computer is counted storage by storage."""

from dataclasses import replace

import pytest
import torch
from small_cnn import OPTIONS, build

from blockwise.training import REGIMES, Run
from blockwise.training.host import StorageCounter


def test_the_storage_counter_counts_each_storage_once_and_frees_it():
    held = torch.zeros(1000)
    with StorageCounter([held, held.view(10, 100)]) as counter:
        assert counter.live_bytes == 4000
        a = torch.ones(500)
        b = a.view(5, 100)
        assert counter.live_bytes == 6000
        c = b + 1
        assert counter.live_bytes == 8000
        del a, b
        assert counter.live_bytes == 6000
        del c
    assert counter.live_bytes == 4000
    assert counter.peak_bytes == 8000


@pytest.mark.slow
def test_the_host_ledger_orders_the_regimes_as_the_device_ledger_does(digits):
    peaks = {}
    for name, regime in REGIMES.items():
        options = replace(OPTIONS, epochs=1, fused=name != "bp")
        peaks[name] = Run(build(), digits, regime, options).train()[1].peak_tensor_bytes
    assert peaks["bp"] > peaks["bp-checkpoint"]
    assert peaks["bp"] > peaks["local"] >= peaks["local-resident"]
