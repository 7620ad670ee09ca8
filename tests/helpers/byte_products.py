"""Which convolutions of codes this processor sums exactly, for tests that compare them to the bit."""

import pytest
import torch

from blockwise.quant.precision import CODES, PAIR_BITS, available

NEEDS_BYTES = pytest.mark.skipif(available(CODES, "cpu") != CODES, reason="no products of bytes")
WIDEST = 8 if torch.cpu._is_vnni_supported() else PAIR_BITS - 8
"""Bits of codes beside weights of 8 bits."""
