"""Local heads: the small networks that give each block its loss."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from blockwise.heads.gap import GAPHead
from blockwise.heads.head import Head, Shape
from blockwise.heads.lookahead import LookaheadHead
from blockwise.heads.output import OutputHead
from blockwise.heads.pred import PredHead
from blockwise.heads.predsim import LeanPredSimHead, PredSimHead
from blockwise.heads.sim import SimHead
from blockwise.norms import of_head, replace_norms
from devices.errors import InputError, unknown_name

__all__ = ["CATALOGUE", "Head", "OutputHead", "make"]


@dataclass(frozen=True)
class HeadKind:
    """A local head as the catalogue lists it."""

    build: Callable[..., Head]
    description: str
    has_width: bool = False


CATALOGUE: dict[str, HeadKind] = {
    "gap": HeadKind(GAPHead, "global average pool and linear"),
    "pred": HeadKind(PredHead, "average pool to 2048 features and linear, as published"),
    "sim": HeadKind(SimHead, "similarity matching loss, as published"),
    "predsim": HeadKind(PredSimHead, "pred and sim together, as published"),
    "predsim-lean": HeadKind(LeanPredSimHead, "predsim behind one pool to 4x4"),
    "lookahead": HeadKind(LookaheadHead, "two strided 3x3 convolutions, gap and linear", True),
}


def make(
    name: str, in_shape: Shape, num_classes: int = 10, width: int | None = None, *, norm: str = "batch"
) -> Head:
    """The head ``name`` (or ``name:width``) for block outputs of ``in_shape`` without the batch.

    ``width`` is the number of channels of a lookahead head, ``norm`` the network's. Raises InputError
    for an unknown name, or a width where there is none.
    """
    name, _, suffix = name.partition(":")
    if name not in CATALOGUE:
        raise unknown_name("head", name, CATALOGUE)
    kind = CATALOGUE[name]
    build = kind.build
    if suffix:
        width = _parse_width(suffix)
    if width is not None:
        if not kind.has_width or width < 1:
            raise InputError(
                f"head {name}", got=f"width {width}", wanted="a width of 1 or more, of lookahead only",
                do="leave the width out",
            )  # fmt: skip
        build = partial(build, width=width)
    head = build(tuple(in_shape), num_classes)
    replace_norms(head, of_head(norm))
    return head


def _parse_width(text: str) -> int:
    if not text.isdecimal():
        raise InputError("head width", got=repr(text), wanted="a whole number", do="try lookahead:32")
    return int(text)
