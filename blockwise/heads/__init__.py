"""Local heads: the small networks that give each block its loss."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from blockwise.heads.gap import GAPHead
from blockwise.heads.head import Head, Shape, Targets, Taught
from blockwise.heads.lookahead import LookaheadHead
from blockwise.heads.output import OutputHead
from blockwise.heads.pooled import PooledPredHead
from blockwise.heads.pred import PredHead
from blockwise.heads.predsim import BETA, LeanPredSimHead, PooledPredSimHead, PredSimHead
from blockwise.heads.shared import SharedLookaheadHead
from blockwise.heads.sim import SimHead
from blockwise.layers.norms import of_head, replace_norms
from blockwise.system.sizes import MOST, check_size
from devices.errors import InputError, unknown_name

__all__ = ["CATALOGUE", "Head", "HeadKind", "OutputHead", "Targets", "Taught", "kind", "make", "width_of"]


@dataclass(frozen=True)
class HeadKind:
    """A local head as the catalogue lists it.

    A ``published`` one stands where Nøkland & Eidnes 2019 (arXiv 1901.06656) attach it: it reads what the
    block's own dropout and max pool read, and the output layer's weights start at zero with it.
    """

    build: Callable[..., Head]
    description: str
    has_width: bool = False
    has_depth: bool = False
    has_side: bool = False
    reads_next: bool = False  # the next block's first convolution
    published: bool = False
    output_weight: float = 1.0  # of the output layer's loss, where blocks learn locally


CATALOGUE: dict[str, HeadKind] = {
    "gap": HeadKind(GAPHead, "global average pool and linear"),
    "pred": HeadKind(
        PredHead, "as published: before the max pool, average pool and linear", True, published=True
    ),
    "sim": HeadKind(SimHead, "as published: before the max pool, similarity matching loss", published=True),
    "predsim": HeadKind(
        PredSimHead, "as published: pred and sim together", True, published=True, output_weight=1 - BETA
    ),
    "pred-pooled": HeadKind(PooledPredHead, "square average pool of the block's output, and linear"),
    "sim-pooled": HeadKind(SimHead, "similarity matching loss of the block's output"),
    "predsim-pooled": HeadKind(PooledPredSimHead, "pred-pooled and sim-pooled together"),
    "predsim-lean": HeadKind(LeanPredSimHead, "both behind one pool to 4x4"),
    "lookahead": HeadKind(LookaheadHead, "two strided 3x3 convolutions, gap and linear", True, True, True),
    "lookahead-shared": HeadKind(
        SharedLookaheadHead, "as lookahead, by the next block's first convolution, which it does not train",
        True, True, True, reads_next=True,
    ),
}  # fmt: skip


SIZES = {"width": (MOST, "32"), "depth": (32, "32x3"), "side": (MOST, "32x3x16")}
"""What may stand behind the colon, in this order: the largest, and an example."""


def kind(name: str) -> HeadKind:
    """The entry of ``name`` or ``name:width``. Raises InputError for an unknown name."""
    name = name.partition(":")[0]
    if name not in CATALOGUE:
        raise unknown_name("head", name, CATALOGUE)
    return CATALOGUE[name]


def make(
    name: str, in_shape: Shape, num_classes: int = 10, width: int | None = None, *, norm: str = "batch",
    ahead: nn.Module | None = None,
) -> Head:  # fmt: skip
    """The head ``name``, ``name:width``, ``name:widthxdepth`` or ``name:widthxdepthxside``.

    It reads maps or features of ``in_shape``, without the batch. ``width`` is the number of channels of a
    lookahead head, whose depth is that of its convolutions and whose side that of the map which they read, or
    the most features that pred reads; ``norm`` is the network's, ``ahead`` the first convolution of the next
    block, if it has one. Raises InputError for an unknown name, or a size where there is none.
    """
    found, (name, _, suffix) = kind(name), name.partition(":")
    sizes = _parse_sizes(suffix) if suffix else {}
    if width is not None:
        sizes["width"] = width
    for size, value in sizes.items():
        having = [known for known, entry in CATALOGUE.items() if getattr(entry, f"has_{size}")]
        if name not in having or value < 1:
            raise InputError(
                f"head {name}", got=f"{size} {value}",
                wanted=f"a {size} of 1 or more, of {', '.join(having)} only", do=f"leave the {size} out",
            )  # fmt: skip
    head = found.build(
        tuple(in_shape), num_classes, **sizes, **({"ahead": ahead} if found.reads_next else {})
    )
    replace_norms(head, of_head(norm))
    return head


def width_of(name: str) -> int:
    """The width that is asked for behind the colon; 0 where none is."""
    text = name.partition(":")[2].partition("x")[0]
    return int(text) if text.isdecimal() else 0


def _parse_sizes(text: str) -> dict[str, int]:
    """Of 32, 32x3 or 32x3x16."""
    parts = text.split("x", len(SIZES) - 1) if text[:1].isdecimal() else [text]
    found = {}
    for (size, (most, example)), number in zip(SIZES.items(), parts, strict=False):
        if not number.isdecimal():
            raise InputError(
                f"head {size}", got=repr(number), wanted="a whole number", do=f"try lookahead:{example}"
            )
        check_size(f"head {size}", int(number), 0, most)
        found[size] = int(number)
    return found
