"""The last block's head: the network's own output is the classifier, only the loss is missing."""

from torch import Tensor

from blockwise.heads.head import Head, LogitsLoss, Targets


class OutputHead(Head):
    """Cross entropy of the network's logits. No parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = LogitsLoss()

    def forward(self, h: Tensor, y: Targets) -> Tensor:
        """The loss, a scalar."""
        return self.loss(h, y)  # type: ignore[no-any-return]

    def logits(self, h: Tensor) -> Tensor:
        """The block's output itself."""
        return h
