"""What a float step asks of a layer's quantizer, whose values lie in the program's memory."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Encoded:
    """Codes (as their input, int64), which of them pass gradients (bool), and what the quantizer keeps."""

    codes: Tensor
    mask: Tensor
    kept: Tensor | None


@dataclass(frozen=True, eq=False)
class Weights:
    """Quantized weights: codes (None where they have none), the floats they mean, what is kept."""

    codes: Tensor | None
    floats: Tensor
    kept: Tensor | None


class OnBoard(Protocol):
    """A quantizer without state: ``trained`` and ``kept`` are its values, flat, as they lie in memory."""

    def weights(self, latent: Tensor, trained: Tensor | None, kept: Tensor | None, *, moves: bool) -> Weights:
        """Quantize weights (flat); ``moves`` if what follows them is to follow."""
        ...

    def weights_ahead(self, latent: Tensor, trained: Tensor | None, kept: Tensor | None) -> Weights:
        """As the head of the block before reads them; nothing follows."""
        ...

    def weight_gradient(
        self, gradient: Tensor, latent: Tensor, trained: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The gradients of latent weights and of ``trained``, from that of the quantized weights."""
        ...

    def packed(
        self, latent: Tensor, trained: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Codes and constants as deployed."""
        ...

    def unpacked(self, codes: Tensor, constants: Tensor | None) -> Tensor:
        """The floats that deployed codes mean, flat."""
        ...

    def encode(self, x: Tensor, trained: Tensor | None, kept: Tensor | None, *, moves: bool) -> Encoded:
        """Quantize activations."""
        ...

    def encode_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """Codes of activations in a deployed network, by what is packed with it."""
        ...

    def passes_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """Where a gradient comes through the same, bool: of a frozen layer."""
        ...

    def slope_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """The derivative there, of an activation that is not linear in pieces."""
        ...

    def decode(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """The floats that activation codes mean by their quantizer's values."""
        ...

    def gradient(
        self, gradient: Tensor, mask: Tensor | None, codes: Tensor | None, x: Tensor | None,
        trained: Tensor | None, kept: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """The gradients of the activations before, and of ``trained``; codes and x where they were saved."""
        ...
