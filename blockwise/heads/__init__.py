"""Local heads: the small networks that give each block its loss."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from blockwise.heads.gap import GAPHead
from blockwise.heads.head import Head, Shape
from blockwise.heads.lookahead import LookaheadHead
from blockwise.heads.output import OutputHead
from blockwise.heads.pooled import PooledPredHead
from blockwise.heads.pred import PredHead
from blockwise.heads.predsim import BETA, LeanPredSimHead, PooledPredSimHead, PredSimHead
from blockwise.heads.sim import SimHead
from blockwise.layers.norms import of_head, replace_norms
from blockwise.system.sizes import check_size
from devices.errors import InputError, unknown_name

__all__ = ["CATALOGUE", "Head", "HeadKind", "OutputHead", "kind", "make"]


@dataclass(frozen=True)
class HeadKind:
    """A local head as the catalogue lists it.

    A ``published`` one stands where Nøkland & Eidnes 2019 (arXiv 1901.06656) attach it: it reads what the
    block's own dropout and max pool read, and the output layer's weights start at zero with it.
    """

    build: Callable[..., Head]
    description: str
    has_width: bool = False
    published: bool = False
    output_weight: float = 1.0  # of the output layer's loss, where blocks learn locally


CATALOGUE: dict[str, HeadKind] = {
    "gap": HeadKind(GAPHead, "global average pool and linear"),
    "pred": HeadKind(PredHead, "as published: before the max pool, average pool and linear", True, True),
    "sim": HeadKind(SimHead, "as published: before the max pool, similarity matching loss", published=True),
    "predsim": HeadKind(PredSimHead, "as published: pred and sim together", True, True, 1 - BETA),
    "pred-pooled": HeadKind(PooledPredHead, "square average pool of the block's output, and linear"),
    "sim-pooled": HeadKind(SimHead, "similarity matching loss of the block's output"),
    "predsim-pooled": HeadKind(PooledPredSimHead, "pred-pooled and sim-pooled together"),
    "predsim-lean": HeadKind(LeanPredSimHead, "both behind one pool to 4x4"),
    "lookahead": HeadKind(LookaheadHead, "two strided 3x3 convolutions, gap and linear", True),
}


def kind(name: str) -> HeadKind:
    """The entry of ``name`` or ``name:width``. Raises InputError for an unknown name."""
    name = name.partition(":")[0]
    if name not in CATALOGUE:
        raise unknown_name("head", name, CATALOGUE)
    return CATALOGUE[name]


def make(
    name: str, in_shape: Shape, num_classes: int = 10, width: int | None = None, *, norm: str = "batch"
) -> Head:
    """The head ``name`` (or ``name:width``) for maps or features of ``in_shape`` without the batch.

    ``width`` is the number of channels of a lookahead head, the most features that pred reads; ``norm`` is
    the network's. Raises InputError for an unknown name, or a width where there is none.
    """
    found, (name, _, suffix) = kind(name), name.partition(":")
    build = found.build
    if suffix:
        width = _parse_width(suffix)
    if width is not None:
        if not found.has_width or width < 1:
            having = ", ".join(known for known, entry in CATALOGUE.items() if entry.has_width)
            raise InputError(
                f"head {name}", got=f"width {width}", wanted=f"a width of 1 or more, of {having} only",
                do="leave the width out",
            )  # fmt: skip
        build = partial(build, width=width)
    head = build(tuple(in_shape), num_classes)
    replace_norms(head, of_head(norm))
    return head


def _parse_width(text: str) -> int:
    if not text.isdecimal():
        raise InputError("head width", got=repr(text), wanted="a whole number", do="try lookahead:32")
    check_size("head width", int(text), 0)
    return int(text)
