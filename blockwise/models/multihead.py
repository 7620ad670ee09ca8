"""nn.MultiheadAttention as code that can be traced: layers, products of matrices and softmaxes."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from devices.errors import InputError

MATRIX = 2
"""Dimensions of a mask that all images and heads share."""


class SelfAttention(nn.MultiheadAttention):
    """(B, N, C) -> the same shape, and shares: what the class makes of one sequence, by its parameters."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """All three have to be the same tensor; ``attn_mask`` is True where nothing is seen, or a summand.

        Raises InputError for masks of each image or head, and for two sequences.
        """
        if key_padding_mask is not None or (attn_mask is not None and attn_mask.ndim != MATRIX):
            raise _refused("attention with masks of images or heads", "one mask (N, N) for all")
        if not (query is key and key is value) or self.in_proj_weight is None:
            raise _refused("attention between two sequences", "that of one with itself")
        joined = F.linear(query, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in joined.chunk(3, -1))
        scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(self.head_dim)
        if attn_mask is not None:
            hides = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(attn_mask, -math.inf) if hides else scores + attn_mask
        shares = torch.softmax(scores, -1)
        if self.dropout:
            shares = F.dropout(shares, self.dropout, self.training)
        found = self.out_proj(torch.matmul(shares, v).transpose(1, 2).flatten(2))
        return found, shares.mean(1) if average_attn_weights else shares


def as_self_attention(root: nn.Module) -> nn.Module:
    """``root``, changed in place. Raises InputError for what has no layers that do the same."""
    for module in root.modules():
        if type(module) is nn.MultiheadAttention:
            if not module.batch_first:
                raise _refused("attention with its batch second", "batches first", "set batch_first=True")
            if module.bias_k is not None or module.add_zero_attn:
                raise _refused("attention to tokens of the layer's own", "attention between tokens")
            module.__class__ = SelfAttention
    return root


def _refused(got: str, wanted: str, do: str = "replace it, or write it out by layers") -> InputError:
    return InputError("nn.MultiheadAttention", got=got, wanted=wanted, do=do)
