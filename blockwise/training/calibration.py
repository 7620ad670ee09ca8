"""What follows a training in float whose network is quantized after it.

Batch norms are folded into the weights before them, and some training images pass through the network
once. Each quantizer chooses its levels from what reaches it, which those before it have quantized.
"""

from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from blockwise.data import Normalize, Split
from blockwise.heads.shared import ReadConv
from blockwise.layers.norms import BATCH_NORMS, BatchNorm
from blockwise.nets.trainable import TrainableNet
from blockwise.quant import FLOAT_BITS, Quantizer
from blockwise.quant.layers import QuantWeighted
from devices.errors import InputError
from devices.network.trace import links

IMAGES = 128
"""Of the training set, evenly spread over it, without augmentation: a batch such as any training's."""


def late_quantizers(net: nn.Module) -> tuple[Quantizer, ...]:
    """Those that choose their levels after the training."""
    return tuple(m for m in net.modules() if isinstance(m, Quantizer) and m.after_training)


def pass_floats(net: nn.Module) -> None:
    """Let those quantizers wait."""
    for quantizer in late_quantizers(net):
        quantizer.set_bits(FLOAT_BITS)


def take_up(net: nn.Module) -> None:
    """Let them quantize; each chooses its levels from the first tensor it sees."""
    for quantizer in late_quantizers(net):
        quantizer.set_bits(quantizer.target_bits)


def check(net: nn.Module, split: Split) -> None:
    """Refuse a training set that has nothing to calibrate on. Raises InputError."""
    if late_quantizers(net) and not len(split):
        raise InputError(
            "calibration", got="0 training images", wanted="at least 1, for levels are chosen from them",
            do="use more images or another method",
        )  # fmt: skip


def calibrate(net: TrainableNet, split: Split, normalize: Normalize) -> None:
    """Quantize, in place, a network trained in float; leaves it in evaluation mode."""
    net.eval()
    with torch.no_grad():
        for name, body in net.bodies.named_children():
            for layer, factors in fold_norms(body, name).items():
                _tell_readers(net, layer, factors)
        take_up(net)
        net(calibration_images(split, normalize))


def calibration_images(split: Split, normalize: Normalize) -> Tensor:
    """At most :data:`IMAGES` (B, C, H, W), in the order of the split and from all over it."""
    count = min(IMAGES, len(split))
    index = torch.arange(count, device=split.labels.device) * len(split) // count
    return normalize(split.select(index).images)


def _tell_readers(net: TrainableNet, layer: nn.Module, factors: Tensor) -> None:
    """Heads that read the weights of ``layer`` were trained before its norm was folded into them."""
    for reader in net.heads.modules():
        if isinstance(reader, ReadConv) and reader.source is layer:
            reader.folded = torch.where(factors == 0, 1, factors)


def fold_norms(module: nn.Module, name: str) -> dict[nn.Module, Tensor]:
    """Move the factors of batch norms into the late-quantized weights before them, as it is deployed.

    Returns the factors (O,) of each layer that has got some.

    What remains of the norm is the shift. It stays where it is, as minus the mean of a norm that
    does nothing else: the network keeps its structure, and a checkpoint fits before and after.
    """
    modules, layers = dict(module.named_modules()), links(module, name)
    readers = Counter(source for layer in layers for source in layer.inputs)
    folded: dict[nn.Module, Tensor] = {}
    for layer in layers:
        if layer.op.batch_statistics:
            norm, before = modules[layer.name], modules.get(layer.inputs[0])
            if isinstance(before, QuantWeighted) and readers[layer.inputs[0]] == 1:
                assert isinstance(norm, BATCH_NORMS)
                factors = _fold(before, norm)
                folded |= {} if factors is None else {before: factors}
    return folded


def _fold(layer: QuantWeighted, norm: BatchNorm) -> Tensor | None:
    mean, variance = norm.running_mean, norm.running_var
    if not layer.weight_quantizer.after_training or mean is None or variance is None:
        return None
    factors = (variance + norm.eps).rsqrt() * (norm.weight if norm.affine else 1)
    args = (layer.weight, layer.bias, mean, variance, norm.eps, norm.weight, norm.bias)
    weight, shift = fuse_conv_bn_weights(*args)
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.zero_()
    mean.copy_(-shift)
    variance.fill_(1 - norm.eps)
    if norm.affine:
        norm.weight.fill_(1)
        norm.bias.zero_()
    return factors
