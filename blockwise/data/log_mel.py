"""Spectra of sound as small networks read them: logarithms of the energy in bands of the mel scale.

Windows of 40 ms every 20 ms, as Zhang et al. 2017 (arXiv 1711.07128) take them for keyword spotting on
microcontrollers: 49 of a second. ``log-mel:10`` has the shape of their features, 1x49x10.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

WINDOW_MS = 40
STEP_MS = 20
BANDS = 40
LOWEST_HZ = 20.0
FLOOR = 1e-6
"""Energy below which a band counts as silent: at 16 kHz some 800 times that of the rounding of 16 bits."""
Sound = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LogMel:
    """``bands`` logarithms for each window of sound at ``rate`` values a second."""

    rate: int
    bands: int = BANDS

    @property
    def window(self) -> int:
        """Values in a window."""
        return self.rate * WINDOW_MS // 1000

    @property
    def step(self) -> int:
        """Values from one window to the next."""
        return self.rate * STEP_MS // 1000

    @property
    def transform(self) -> int:
        """Points of the Fourier transform: a power of two, as a board has it; the rest are zeros."""
        return 1 << (self.window - 1).bit_length()

    def __call__(self, sound: Sound) -> Tensor:
        """float32 (B, 1, windows, bands) of sound (B, L)."""
        from librosa.filters import mel  # slow to import, and no other set needs it

        views = torch.from_numpy(sound).unfold(1, self.window, self.step)
        shape = torch.hann_window(self.window)
        power = torch.fft.rfft(views * shape, self.transform).abs().square()
        filters = mel(sr=self.rate, n_fft=self.transform, n_mels=self.bands, fmin=LOWEST_HZ)
        spectra: Tensor = (power @ torch.from_numpy(filters).T).add(FLOOR).log()
        return spectra.unsqueeze(1)
