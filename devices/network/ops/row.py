"""What an operation costs under one accounting: a row of its cost table."""

from dataclasses import dataclass
from typing import Literal

Output = Literal["new", "in_place", "stream", "view"]
Gradient = Literal["new", "in_place", "share", "none"]
Width = Literal["float", "codes", "input"]


@dataclass(frozen=True)
class Row:
    """Costs of an operation.

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
