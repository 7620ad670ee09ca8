"""Accuracy of block heads on a split, in evaluation mode."""

from dataclasses import dataclass

import torch
from torch import Tensor

from blockwise.data import Split, ToInput, batches
from blockwise.integer.net import IntegerNet
from blockwise.nets.trainable import TrainableNet

BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """Accuracy in 0..1 of each block's head by block number; None where a head predicts nothing."""

    accuracies: dict[int, float | None]
    loss: float  # of the last head, the mean over the split


def evaluate(
    net: TrainableNet, split: Split, heads: tuple[int, ...], inputs: ToInput, device: str
) -> Evaluation:
    """Pass ``split`` through the network once, up to the last of ``heads``.

    An accelerator is waited for at the end only.
    """
    net.eval()
    correct: dict[int, Tensor | None] = {index: torch.zeros((), device=device).long() for index in heads}
    losses: list[tuple[Tensor | float, int]] = []
    with torch.inference_mode():
        for x, y in batches(split, BATCH, normalize=inputs, device=device):
            for index in range(heads[-1] + 1):
                h = net.bodies[index](x)
                if index in correct:
                    correct[index] = _add(correct[index], net.head(index).logits(h), y)
                x = net.tails[index](h)
            if len(y) >= net.head(heads[-1]).minimum_batch:
                losses.append((net.heads[heads[-1]](h, y), len(y)))
    accuracies = {i: None if c is None else int(c) / len(split) for i, c in correct.items()}
    return Evaluation(accuracies, sum(float(loss) * count for loss, count in losses) / len(split))


def accuracy_one_by_one(net: IntegerNet, split: Split, device: str) -> float:
    """Accuracy in 0..1 of the last head on images each of which is a batch of its own."""
    net.eval()
    correct = torch.zeros((), device=device).long()
    with torch.inference_mode():
        for x, y in batches(split, BATCH, normalize=lambda images: images, device=device):
            correct = correct + (net.each(x).argmax(1) == y).sum()
    return int(correct) / len(split)


def _add(count: Tensor | None, logits: Tensor | None, y: Tensor) -> Tensor | None:
    if logits is None or count is None:
        return None
    return count + (logits.argmax(1) == y).sum()
