"""Noise for training: new in every step, the same when a step is repeated or resumed."""

from typing import Any

import torch
from torch import Tensor

from blockwise.quant.quantizer import Quantizer, Role

FIRST_DRAWS = 1 << 30
"""Quantizers start from different ones of so many draws."""


class Noisy(Quantizer):
    """A quantizer that adds noise in training.

    ``draw`` says which noise comes next: it starts from torch's generator, is kept in checkpoints,
    and advances with every forward pass in training that is not a repetition of one.
    """

    draw: Tensor

    def __init__(self, bits: int, role: Role, shape: tuple[int, ...] = ()) -> None:
        super().__init__(bits, role, shape)
        self._draw = int(torch.randint(FIRST_DRAWS, (), device="cpu"))  # the buffer as a Python value
        self.register_buffer("draw", torch.tensor(self._draw, dtype=torch.int32))

    def prepare_compile(self) -> None:
        """The noise is drawn in Python. Not by a decorator: that would import the compiler at every start."""
        self.noise = torch.compiler.disable(self.noise)  # type: ignore[method-assign]

    def noise(self, x: Tensor) -> Tensor:
        """Uniform in [0, 1), of the shape of ``x``, float32."""
        if self.tracks:
            self._draw += 1
            self.draw.add_(1)
        if x.is_meta:
            return torch.empty(x.shape, device=x.device)
        generator = torch.Generator(x.device).manual_seed(self._draw)
        return torch.rand(x.shape, generator=generator, device=x.device)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._draw = int(self.draw)
