"""All parts together: a small network trains on integers, and always ends with the same bits."""

from zlib import crc32

import pytest
import torch

from blockwise.integer import INT4, INT8, UINT4, IntTensor, Xorshift32, ops
from blockwise.integer.images import from_pixels
from blockwise.integer.init import xavier, xavier_residue
from blockwise.integer.loss import cross_entropy, predicted
from blockwise.integer.ops import Steps
from blockwise.integer.pointwise import relu, relu_gradient
from blockwise.integer.pool import avg_pool, avg_pool_gradient, max_pool, max_pool_gradient
from blockwise.integer.residue import update as update_residue
from blockwise.integer.rounding import pseudo_stochastic, requantize, stochastic
from blockwise.integer.update import update

CLASSES, BATCH, STEPS = 4, 32, 24
WEIGHTS = {
    "int8": 0x5A108261,
    "int4 with residue": 0xC554E327,
    "int4": 0x260D5AAD,
}


def batch(rng: Xorshift32) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy uint8 images whose class is the brighter quadrant."""
    labels = rng.uniform(BATCH, CLASSES).long()
    pixels = rng.uniform(BATCH * 64, 200).view(BATCH, 1, 8, 8)
    for label in range(CLASSES):
        rows, columns = label // 2 * 4, label % 2 * 4
        pixels[labels == label, :, rows : rows + 4, columns : columns + 4] += 55
    return pixels.to(torch.uint8), labels


class Layer:
    """A 3x3 convolution in one of the three forms: int8, int4 with residue, int4 alone."""

    def __init__(self, shape: tuple[int, ...], kind: str, rng: Xorshift32) -> None:
        self.kind, self.rng = kind, rng
        self.residue = xavier_residue(shape, rng) if kind == "int4 with residue" else None
        self.plain = xavier(shape, rng, INT8 if kind == "int8" else INT4)

    @property
    def weights(self) -> IntTensor:
        return self.residue.states if self.residue else self.plain

    def forward(self, x: IntTensor) -> IntTensor:
        self.x = x
        sums = ops.conv(x, self.weights, Steps(padding=1))
        out, self.mask = relu(sums, INT8 if self.kind == "int8" else UINT4)
        return out

    def backward(self, error: IntTensor, mu: int) -> IntTensor:
        error = relu_gradient(error, self.mask)
        back = requantize(ops.conv_input_gradient(error, self.weights, self.x.shape, Steps(padding=1)), INT8)
        gradient = ops.conv_weight_gradient(error, self.x, self.weights.shape, Steps(padding=1))
        if self.residue:
            self.residue = update_residue(self.residue, gradient, mu)
        elif self.kind == "int8":
            self.plain = update(self.plain, gradient, mu)
        else:
            self.plain = update(self.plain, gradient, mu - 4, stochastic(self.rng))
        return back


def train(kind: str, steps: int = STEPS) -> tuple[list[int], int, int]:
    """The loss of each step, right answers of the last, and a checksum of all weights."""
    rng, losses, right = Xorshift32(1), [], 0
    first, second = Layer((8, 1, 3, 3), "int8", rng), Layer((16, 8, 3, 3), kind, rng)
    last = xavier((CLASSES, 16 * 4), rng)
    for _ in range(steps):
        pixels, labels = batch(rng)
        pooled, place = max_pool(first.forward(from_pixels(pixels)))
        features = second.forward(pooled)
        mean = avg_pool(features, (2, 2))
        logits = requantize(ops.linear(mean.reshape(BATCH, -1), last), INT8)
        loss = cross_entropy(logits, labels, stochastic(rng))
        losses.append(int(loss.losses.sum()))
        right = int((predicted(logits) == labels).sum())
        error = requantize(ops.linear_input_gradient(loss.error, last), INT8)
        gradient = ops.linear_weight_gradient(loss.error, mean.reshape(BATCH, -1))
        last = update(last, gradient, 4, pseudo_stochastic)
        error = avg_pool_gradient(error.reshape(*mean.shape), (2, 2), features.shape)
        error = second.backward(error, 4)
        first.backward(max_pool_gradient(error, place, (BATCH, 8, 8, 8)), 4)
    found = [first.weights, second.residue.byte if second.residue else second.weights, last]
    tensors = [t.mantissa if isinstance(t, IntTensor) else t for t in found]
    return losses, right, crc32(bytes(v & 0xFF for t in tensors for v in t.flatten().tolist()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_form_learns_and_ends_with_the_recorded_bits(kind):
    losses, right, checksum = train(kind)
    assert sum(losses[-4:]) * 2 < sum(losses[:4]) and right > BATCH * 3 // 4
    assert hex(checksum) == hex(WEIGHTS[kind])


def test_two_threads_end_with_the_same_bits():
    alone = train("int4", steps=4)
    torch.set_num_threads(2)
    try:
        assert train("int4", steps=4) == alone
    finally:
        torch.set_num_threads(1)
