"""The ways to adapt a deployed network: one line each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FLOAT = "bp"
"""How networks in float are trained before they are deployed, their local heads beside."""

ZO_RATE = 1e-4
"""Of zeroth order, chosen on people that no record holds out: at its usual rate a trained network is lost."""

ZO_EPS = 1e-2
"""How far it looked when that rate was chosen."""


@dataclass(frozen=True)
class Way:
    """A regime with what of the network it trains; ``settings`` are flags by name.

    ``base`` is the regime by which the network was trained on the other people.
    """

    name: str
    regime: str
    words: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    base: str = FLOAT

    @property
    def is_integer(self) -> bool:
        """Whether network and training are integers."""
        return self.base != FLOAT


WAYS: dict[str, Way] = {
    way.name: way
    for way in (
        Way("bp", "bp", "all weights, by backpropagation"),
        Way("bp-fused", "bp-fused", "the same, each weight stepped in the backward pass"),
        Way("bp-best", "bp-best", "the same, the best set of layers recomputed"),
        Way("local", "local", "every block by its own head"),
        Way("local-resident", "local-resident", "one block after the other, the others packed"),
        Way("last-2", "bp-fused", "the last two blocks", {"train": "last:2"}),
        Way("last-1", "bp-fused", "the last block", {"train": "last:1"}),
        Way("head", "bp-fused", "the classifier", {"train": "head"}),
        Way("bias", "bp-fused", "biases, those that norms were folded into", {"train": "bias"}),
        Way(
            "sparse",
            "bp-fused",
            "shares of layers, as the board has room",
            {"train": "sparse:auto"},
        ),
        Way("zo", "zo", "all weights, by two forward passes", {"zo_lr": ZO_RATE, "zo_eps": ZO_EPS}),
        Way("niti", "niti", "8-bit integers, by backpropagation", base="niti"),
        Way("niti-local", "niti-local", "8-bit integers, every block by its own head", base="niti-local"),
        Way("niti4", "niti4", "4-bit integers with residues, by backpropagation", base="niti4"),
        Way("niti4-local", "niti4-local", "the same, every block by its own head", base="niti4-local"),
        Way("niti-head", "niti", "the classifier, on 8-bit integers", {"train": "head"}, base="niti"),
        Way(
            "niti-zo",
            "niti-zo",
            "8-bit integers, by two forward passes",
            {"zo_range": 15, "zo_mu": 1},
            base="niti",
        ),
    )
}
