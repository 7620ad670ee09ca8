"""In what the simulation of a training computes its convolutions. What a board holds is not concerned."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from blockwise.layers.norms import ConstantNorm, RecomputedBatchNorm2d
from blockwise.layers.scaled import ChannelNorm
from blockwise.layers.strided import places, reads_apart
from blockwise.quant.layers import QuantConv2d, Shared
from blockwise.quant.quantizer import Quantizer

FLOAT32, CODES, BF16 = "float32", "codes", "bf16"
PRECISIONS = {
    FLOAT32: "as PyTorch does",
    CODES: "convolutions of codes on bytes, summed exactly",
    BF16: "codes and floats multiplied in bf16, which maps and gradients between layers are kept in",
}


PAIR_BITS = 15
"""Bits of codes and weights together whose products can be summed in twos without VNNI.

AVX2 sums two products of uint8 and int8 in 16 bits, where larger sums end at the largest (Intel 64 and IA-32
Architectures Software Developer's Manual, volume 2, PMADDUBSW): 2 (2^a - 1) 2^(w - 1) is below 2^15 for
a + w up to 15.
"""


def available(asked: str, device: str) -> str:
    """``asked``, or what ``device`` has of it: bytes by AVX2 or VNNI, bf16 by AVX-512 or AMX."""
    bytes_at_once = device == "cpu" and (torch.cpu._is_vnni_supported() or torch.cpu._is_avx2_supported())
    halves = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if not bytes_at_once:
        return FLOAT32
    return CODES if asked == BF16 and not halves else asked


def fallback(asked: str, device: str) -> str:
    """The line that tells what is missing; empty where nothing is."""
    found = available(asked, device)
    if found == asked:
        return ""
    lacks = "bf16 (AVX512-BF16, AMX)" if found == CODES else "bytes (AVX2, VNNI)"
    where = "this processor" if device == "cpu" else f"the accelerator {device}"
    return f"--precision {asked}: no products of {lacks} on {where}; trains with --precision {found}"


FLOATS: tuple[type[nn.Module], ...] = (
    _ConvNd, nn.Linear, nn.GroupNorm, nn.LayerNorm, nn.BatchNorm1d, RecomputedBatchNorm2d, ConstantNorm,
    ChannelNorm,
)  # fmt: skip
"""Layers that read maps in bf16 as floats, and make floats."""
FLOAT_KINDS = ("spatial_std", "similarity_loss", "cross_entropy")
"""Layers of heads that do."""


class Kernels(NamedTuple):
    """Those of :mod:`blockwise.quant.codes_conv`, which is imported where they are wanted."""

    of_codes: Callable[..., Tensor]
    low: Callable[..., Tensor]
    in_halves: Callable[..., Tensor]


def lower(pieces: Iterable[nn.Module], precision: str) -> None:
    """Let the convolutions of all ``pieces`` of a network compute in ``precision``.

    Codes that come from another piece, where steps may move before they are read, are counted in the step
    that they were made with. Among maps in bf16 they are read as values.
    """
    if precision == FLOAT32:
        return
    from blockwise.quant.codes_conv import conv_in_halves, conv_of_codes, low_conv

    pieces, kernels = list(pieces), Kernels(conv_of_codes, low_conv, conv_in_halves)
    low = precision == BF16
    halves = low and all(_counts(q) for piece in pieces for q in piece.modules())
    for piece in pieces:
        own = set(piece.modules())
        for conv in own:
            if halves:
                _keep_halves(conv, own, kernels)
            elif isinstance(conv, nn.Conv2d) and _is_plain(conv):
                found = _byte_quantizers(conv)
                if found is not None:
                    apart = found[0] not in own
                    if apart:
                        _remember(found[0])
                    _replace(conv, partial(_of_codes, conv, *found, kernels, low=low, apart=apart))
                elif low:
                    _replace(conv, partial(_of_values, conv, kernels))


def _counts(module: nn.Module) -> bool:
    """Whether bf16 holds the codes of a quantizer; the values of others would be rounded."""
    return not isinstance(module, Quantizer) or module.counts_bytes


def _keep_halves(module: nn.Module, own: set[nn.Module], kernels: Kernels) -> None:
    """Let ``module`` make maps in bf16, or read them as floats; all others make what they read."""
    if isinstance(module, nn.Conv2d) and _is_plain(module):
        found = _byte_quantizers(module)
        how = (
            partial(_of_halves, module, kernels)
            if found is None or found[0] not in own
            else partial(_codes_of_halves, module, *found, kernels)
        )
        _replace(module, how)
    elif isinstance(module, FLOATS) or getattr(module, "op_kind", "") in FLOAT_KINDS:
        vars(module)["forward"] = partial(_of_floats, module)


def _of_floats(module: nn.Module, x: Tensor, *others: Any) -> Tensor:
    return type(module).forward(module, x.float(), *others)  # type: ignore[no-any-return]


def _of_halves(conv: nn.Conv2d, kernels: Kernels, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """Of images the values are not rounded; of maps they have been."""
    if isinstance(conv, QuantConv2d) and x.dtype == torch.float32:
        out = kernels.low(x, w, _where(conv), rounded=False).bfloat16()
    else:
        out = F.conv2d(x.bfloat16(), w.bfloat16(), None, *_where(conv))
    return _biased(out, bias)


def _codes_of_halves(
    conv: nn.Conv2d, inputs: Quantizer, weights: Quantizer, kernels: Kernels, x: Tensor, w: Tensor,
    bias: Tensor | None,
) -> Tensor:  # fmt: skip
    if not (inputs.counts_bytes and weights.counts_bytes):  # wider for the time being
        return _of_halves(conv, kernels, x, w, bias)
    out = kernels.in_halves(x, w, inputs.unit, weights.unit, _where(conv))
    return _biased(out, bias)


def _replace(conv: nn.Conv2d, how: Callable[..., Tensor]) -> None:
    """What ``forward`` calls with input, weight and bias once they are quantized."""
    vars(conv)["_conv_forward"] = partial(_thinned, conv, how) if reads_apart(conv) else how


def _thinned(
    conv: nn.Conv2d, how: Callable[..., Tensor], x: Tensor, w: Tensor, bias: Tensor | None
) -> Tensor:
    return how(places(x, conv.stride), w, bias)


def _is_plain(conv: nn.Conv2d) -> bool:
    """Whether it is one that the kernels have: no groups, zeros around."""
    return conv.groups == 1 and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _byte_quantizers(conv: nn.Conv2d) -> tuple[Quantizer, Quantizer] | None:
    """Those of input and weight, where both give a step times whole numbers that fit a byte."""
    if not isinstance(conv, QuantConv2d):
        return None
    inputs = conv.input_quantizer or next(iter(conv.made_by), None)
    inputs = inputs.quantizer if isinstance(inputs, Shared) else inputs
    weights = conv.weight_quantizer
    if not isinstance(inputs, Quantizer):
        return None
    return (inputs, weights) if inputs.counts_bytes and weights.counts_bytes else None


def _remember(inputs: Quantizer) -> None:
    """Let a quantizer keep the unit that its codes are made with: no buffer, for no board has it."""
    if "forward" not in vars(inputs):
        vars(inputs).update(last_unit=torch.zeros_like(inputs.unit), forward=partial(_remembering, inputs))


def _remembering(inputs: Quantizer, x: Tensor) -> Tensor:
    out = type(inputs).forward(inputs, x)
    if inputs.counts_bytes:
        vars(inputs)["last_unit"].copy_(inputs.unit)
    return out


def _last_unit(inputs: Quantizer) -> Tensor:
    """The unit now, where no codes have been made yet: maps of finished blocks may be read from a store."""
    last: Tensor = vars(inputs)["last_unit"]
    return torch.where(last > 0, last, inputs.unit)


def _of_codes(
    conv: nn.Conv2d, inputs: Quantizer, weights: Quantizer, kernels: Kernels, x: Tensor, w: Tensor,
    bias: Tensor | None, *, low: bool, apart: bool,
) -> Tensor:  # fmt: skip
    if inputs.counts_bytes and weights.counts_bytes and _sums_exactly(inputs.bits + weights.bits):
        unit = _last_unit(inputs) if apart else inputs.unit
        held = apart and not low  # bf16 holds codes exactly, and their values not
        out = kernels.of_codes(x, w, unit, weights.unit, _where(conv), low=low, held=held)
    elif low:  # wider for the time being
        out = kernels.low(x, w, _where(conv), rounded=False)
    else:
        return F.conv2d(x, w, bias, *_where(conv))
    return _biased(out, bias)


def _sums_exactly(bits: int) -> bool:
    """Whether this processor sums products of codes and weights of together so many bits as they are."""
    return bits <= PAIR_BITS or torch.cpu._is_vnni_supported()


def _of_values(conv: nn.Conv2d, kernels: Kernels, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """Of levels that are not evenly spaced the values are not rounded; floats are."""
    out = kernels.low(x, w, _where(conv), rounded=not isinstance(conv, QuantConv2d))
    return _biased(out, bias)


def _biased(out: Tensor, bias: Tensor | None) -> Tensor:
    return out if bias is None else out + bias.view(-1, 1, 1).to(out.dtype)


def _where(conv: nn.Conv2d) -> tuple[list[int], list[int], list[int]]:
    assert not isinstance(conv.padding, str)
    stride = [1, 1] if reads_apart(conv) else list(conv.stride)
    return stride, list(conv.padding), list(conv.dilation)
