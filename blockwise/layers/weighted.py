"""The layers of torch.nn that have weights: sums of products over signals, images, volumes and features."""

from torch import nn

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
"""For isinstance and annotations alike."""

Weighted = Convolution | nn.Linear

CONVOLUTIONS: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {
    1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d,
}  # fmt: skip
"""By the dimensions of space."""
