"""The layers of torch.nn that have weights: sums of products over signals, images and features."""

from torch import nn

Weighted = nn.Conv1d | nn.Conv2d | nn.Linear
"""For isinstance and annotations alike."""

Convolution = nn.Conv1d | nn.Conv2d
