"""What each kind of layer writes, keeps for its backward pass and needs: one row per kind.

Three tables. ``DEVICE`` is a direct C implementation without im2col: a norm works in place on the
accumulator, element-wise layers between an accumulator and the next codes are evaluated on the fly,
activations are kept as codes. ``INTEGER`` is the same without norms, on integers. ``PYTORCH`` is what
eager autograd keeps in float32.
"""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from devices.errors import InputError
from devices.network import Layer

FLOAT_BITS = 32
"""Accumulators, error gradients, latent weights and optimizer state are 32 bits wide."""

LABEL_BITS = (8, 16, 32)
"""Labels are integers of whole bytes: nobody packs one number per image."""

CODE_MAKERS = ("relu", "quantize", "swish")
"""Kinds of layers whose output is quantized to codes."""

Output = Literal["new", "in_place", "stream", "view"]
Gradient = Literal["new", "in_place", "share", "none"]
Width = Literal["float", "codes", "input"]


@dataclass(frozen=True)
class Row:
    """Costs of one kind of layer.

    output    new: a tensor of its own; in_place: overwrites its input; view: is its input;
              stream: never stored, its reader computes it element by element
    width     bits of a new output: float (32), codes (the layer's activation bits), input (as read)
    saves     what the backward pass reads: "input", "output", or a tensor made for it, such as a
              clip "mask", the "argmax" of a max pool or the "statistics" of a norm
    gradient  where the gradient of the input goes: a new tensor, in place of the gradient of the
              output, the same buffer shared by all inputs, or none (sums of losses)
    """

    output: Output = "new"
    width: Width = "float"
    saves: tuple[str, ...] = ()
    gradient: Gradient = "new"
    mask_bits: int = 1  # of a saved "mask", per output element
    argmax_bits: int | None = None  # of a saved "argmax"; None: as many as the window needs
    statistics: int = 0  # 32-bit values per channel that a norm saves (per group and sample: group norm)
    remade: bool = False  # a norm's output is not kept: its convolution is run again going back


@dataclass(frozen=True)
class CostTable:
    """The rows of one accounting, with the widths of what is not a layer's output."""

    name: str
    rows: MappingProxyType[str, Row] = field(repr=False)
    image_bits: int
    fixed_label_bits: int | None  # of a class number; None: whole bytes, as many as the classes need
    packs: bool  # whether codes take fewer than 32 bits, filter by filter

    def row(self, layer: Layer) -> Row:
        """The row of ``layer``. A global average keeps only sizes, whatever the table."""
        if layer.kind not in self.rows:
            raise InputError(
                f"layer {layer.name}", got=f"the operation {layer.kind!r}",
                wanted=f"one of the {self.name} table: {', '.join(self.rows)}", do="add a row to it",
            )  # fmt: skip
        row = self.rows[layer.kind]
        if layer.kind == "avg_pool" and layer.shape[1:] == (1, 1) and not layer.window:
            return self.rows["global_avg_pool"]
        return row

    def label_bits(self, classes: int) -> int:
        """Bits of a label: 8 up to 256 classes, 16 up to 65,536, else 32."""
        if self.fixed_label_bits is not None:
            return self.fixed_label_bits
        return next((bits for bits in LABEL_BITS if classes <= 1 << bits), LABEL_BITS[-1])

    def argmax_bits(self, layer: Layer) -> int:
        """Bits per output element of a max pool's saved position: 2 for a 2x2 window."""
        fixed = self.row(layer).argmax_bits
        return fixed if fixed is not None else max(1, (layer.window - 1).bit_length())


DEVICE = CostTable(
    "device",
    MappingProxyType(
        {
            "conv": Row(saves=("input",)),
            "linear": Row(saves=("input",)),
            # The normalised values overwrite the accumulator and are kept at its precision; the
            # mean is inside them, 1/std is not. Scale and shift are applied by the reader.
            "batch_norm": Row("in_place", saves=("output", "statistics"), gradient="in_place", statistics=1),
            # Only mean and 1/std are kept; the accumulator is computed again from the convolution's input.
            "batch_norm_recompute": Row(
                "in_place", saves=("output", "statistics"), gradient="in_place", statistics=2, remade=True
            ),
            "group_norm": Row("in_place", saves=("output", "statistics"), gradient="in_place", statistics=1),
            # A constant scale and shift per channel: nothing to remember.
            "frozen_norm": Row("in_place", gradient="in_place"),
            # Whether a code at the end of its range was clipped cannot be told from the code.
            "relu": Row(width="codes", saves=("mask",), gradient="in_place"),
            "quantize": Row(width="codes", saves=("mask",), gradient="in_place"),
            # Its output tells the sign, but its reader may keep another map, or none.
            "leaky_relu": Row(saves=("sign",), gradient="in_place"),
            # The derivative of a smooth activation is read off its argument.
            "swish": Row(width="codes", saves=("input",), gradient="in_place"),
            "sigmoid": Row(saves=("output",), gradient="in_place"),
            "mul": Row(saves=("input",)),
            "dropout": Row("in_place", width="input", saves=("kept",), gradient="in_place"),
            "channel_dropout": Row("in_place", width="input", saves=("kept",), gradient="in_place"),
            "cat": Row(width="input", gradient="share"),
            "add": Row("stream", gradient="share"),
            "shortcut": Row("stream"),
            "view": Row("view", gradient="share"),
            "max_pool": Row(width="input", saves=("argmax",)),
            "avg_pool": Row(),
            "global_avg_pool": Row(),
            # Probabilities overwrite the logits and become their gradient.
            "cross_entropy": Row("in_place", saves=("output",), gradient="in_place"),
            "spatial_std": Row(saves=("input", "output")),
            "similarity_loss": Row(saves=("similarities", "input")),
            "weighted_sum": Row("view", gradient="none"),
        }
    ),
    image_bits=8,
    fixed_label_bits=None,
    packs=True,
)

INTEGER = CostTable(
    "integer",
    MappingProxyType(
        {
            # Sums of 32 bits; the layer behind requantizes them.
            "conv": Row(saves=("input",)),
            "linear": Row(saves=("input",)),
            # A sum may be positive and its code zero: the code does not tell the mask.
            "relu": Row(width="codes", saves=("mask",), gradient="in_place"),
            "quantize": Row(width="codes", gradient="in_place"),
            "view": Row("view", gradient="share"),
            "max_pool": Row(width="input", saves=("argmax",)),
            "avg_pool": Row(width="codes"),
            "global_avg_pool": Row(width="codes"),
            # What it writes is the error of the logits.
            "cross_entropy": Row(width="codes", saves=("output",), gradient="in_place"),
        }
    ),
    image_bits=8,
    fixed_label_bits=None,
    packs=True,
)
"""Training on integers alone: codes and errors of few bits, sums of 32."""

PYTORCH = CostTable(
    "pytorch",
    MappingProxyType(
        {
            "conv": Row(saves=("input",)),
            "linear": Row(saves=("input",)),
            "batch_norm": Row(saves=("input", "statistics"), statistics=2),  # mean and 1/std
            "batch_norm_recompute": Row(saves=("input", "statistics"), statistics=2),
            "group_norm": Row(saves=("input", "statistics"), statistics=2),
            "frozen_norm": Row(),
            "relu": Row(saves=("output",)),
            "leaky_relu": Row(saves=("input",)),
            "swish": Row(saves=("input",)),
            "sigmoid": Row(saves=("output",)),
            "mul": Row(saves=("input",)),
            # What is multiplied with: 0, or 1 / (1 - rate), as floats.
            "dropout": Row(saves=("noise",)),
            "channel_dropout": Row(saves=("noise",)),
            "add": Row(gradient="share"),
            "shortcut": Row(),
            "view": Row("view", gradient="share"),
            "max_pool": Row(saves=("input", "argmax"), argmax_bits=64),
            "avg_pool": Row(saves=("input",)),
            "global_avg_pool": Row(),
            "cross_entropy": Row(saves=("output", "labels", "total")),
            "spatial_std": Row(saves=("input", "output")),
            # Similarities before and after the clamp and of the labels; centred rows, those that are not
            # constant, and unit rows; norms, divisors, and which rows are not constant.
            "similarity_loss": Row(
                saves=(
                    "clamped",
                    "similarities",
                    "targets",
                    "centred",
                    "varied",
                    "unit",
                    "norms",
                    "divisors",
                    "alive",
                )
            ),
            "weighted_sum": Row(),
        }
    ),
    image_bits=32,
    fixed_label_bits=64,
    packs=False,
)
