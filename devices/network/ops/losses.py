"""Losses, and the sum of two."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from devices.network.ops.call import Call
from devices.network.ops.op import Op
from devices.network.ops.row import Row


@dataclass(frozen=True)
class CrossEntropy(Op):
    """Mean cross entropy of logits against labels."""

    kind = "cross_entropy"
    is_loss = True
    ends = True
    integer_head = True
    costs = MappingProxyType(
        {
            # Probabilities overwrite the logits and become their gradient.
            "device": Row("in_place", saves=("output",), gradient="in_place"),
            # What it writes is the error of the logits.
            "integer": Row(width="codes", saves=("output",), gradient="in_place"),
            "pytorch": Row(saves=("output", "labels", "total")),
        }
    )

    @property
    def reads_sums(self) -> bool:
        """It overwrites the logits."""
        return True


@dataclass(frozen=True)
class DistilledCrossEntropy(CrossEntropy):
    """Mean over the batch of (1 - w) H(labels, p) + w T^2 KL(q(T) || p(T)).

    p(T) is the softmax of logits / T, q that of a teacher's (Hinton et al. 2015, arXiv 1503.02531).
    """

    temperature: float = 1.0
    weight: float = 0.0

    kind = "distilled_cross_entropy"
    integer_head = False
    costs = MappingProxyType({"device": Row("in_place", saves=("output",), gradient="in_place")})


@dataclass(frozen=True)
class SimilarityLoss(Op):
    """Similarities of samples against those of labels (Nøkland & Eidnes 2019, arXiv 1901.06656)."""

    classes: int = 0

    kind = "similarity_loss"
    is_loss = True
    ends = True
    costs = MappingProxyType(
        {
            "device": Row(saves=("similarities", "input")),
            # Similarities before and after the clamp and of the labels; centred rows, those that are not
            # constant, and unit rows; norms, divisors, and which rows are not constant.
            "pytorch": Row(
                saves=(
                    *("clamped", "similarities", "targets", "centred", "varied"),
                    *("unit", "norms", "divisors", "alive"),
                )
            ),
        }
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """Labels become rows of so many classes."""
        return cls(call.module.num_classes)


@dataclass(frozen=True)
class WeightedSum(Op):
    """``beta`` times the first loss and 1 - beta times the second."""

    beta: float = 0.5

    kind = "weighted_sum"
    ends = True
    costs = MappingProxyType({"device": Row("view", gradient="none"), "pytorch": Row()})

    @classmethod
    def of(cls, call: Call) -> Self:
        """With its weight."""
        return cls(call.module.beta)
