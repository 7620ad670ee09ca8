"""A trainable parameter, by the names of its tensors."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """One trainable tensor with its state tensors. ``latent`` is its float value."""

    latent: str
    elements: int
    owner: str
    states: tuple[str, ...]
    parts: int = 1  # tensors in PyTorch: scale and shift of a norm are two

    @property
    def tensors(self) -> tuple[str, ...]:
        """The value and its optimizer state."""
        return (self.latent, *self.states)
