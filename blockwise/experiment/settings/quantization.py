"""By which methods, and to how many bits."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from tyro.conf import arg

from blockwise import models, quant
from blockwise.experiment.settings.words import check_name
from devices.errors import InputError
from devices.network import Residual
from devices.network.bits import RESIDUALS

PAPER = "paper"
"""The convention of the method's own paper."""


@dataclass(frozen=True)
class QuantizationSettings:
    """Bit widths in training and on the board."""

    method: Annotated[
        str, arg(help="Quantization method (run.py methods lists them): of weights and of activations.")
    ] = "lsq"
    weight_method: Annotated[
        str | None,
        arg(metavar="METHOD", help="Another method for weights.", help_behavior_hint="(default: --method's)"),
    ] = None
    activation_method: Annotated[
        str | None,
        arg(
            metavar="METHOD",
            help="Another method for activations; fp32 leaves them in float.",
            help_behavior_hint="(default: --method's own, or the one its paper takes beside it)",
        ),
    ] = None
    weight_bits: Annotated[
        int | None,
        arg(
            metavar="BITS",
            help="Bits of weights, 1 to 8 or 16, as far as the method has them; 32 leaves them in float.",
            help_behavior_hint="(default: 3, or the method's own)",
        ),
    ] = None
    activation_bits: Annotated[
        int | None,
        arg(
            metavar="BITS",
            help="Bits of activations; 32 leaves them in float.",
            help_behavior_hint="(default: 3, or the method's own)",
        ),
    ] = None
    bit_chain: Annotated[
        tuple[int, ...],
        arg(
            metavar="BITS ...",
            help="Train in stages of equal length with at least so many bits: 32 4 1 goes from float over "
            "4 bits to those asked for.",
            help_behavior_hint="(default: one stage)",
        ),
    ] = ()
    residual: Annotated[
        str,
        arg(
            help="What the skip paths of residual sums hold: codes, which the next layer reads too; float, "
            "as in most methods' own networks, beside codes and at 32 bits; or paper, the convention of the "
            "activations' method."
        ),
    ] = "codes"

    def __post_init__(self) -> None:
        check_name("--residual", self.residual, (*RESIDUALS, PAPER))
        self.scheme.check(self.trained_weight_bits, self.trained_activation_bits)
        if self.bit_chain:
            self._check_chain()

    def _check_chain(self) -> None:
        chain = self.bit_chain
        falls = all(a > b for a, b in pairwise(chain))
        if not falls or not all(b in (*quant.BITS, quant.FLOAT_BITS) for b in chain):
            raise InputError(
                "--bit-chain", got=" ".join(map(str, chain)), wanted="widths of 1 to 32 bits that fall",
                do="try 32 4 1",
            )  # fmt: skip
        if self.scheme.after_training:
            raise InputError(
                "--bit-chain", got=f"{self.scheme.name}, which quantizes after the training",
                wanted="methods that quantize in training", do="leave it out",
            )  # fmt: skip
        if self.scheme.stages.last:
            raise InputError(
                "--bit-chain", got=f"{self.scheme.name}, which trains in stages of its own",
                wanted="a method of one stage", do="leave it out",
            )  # fmt: skip
        for bits in chain:
            if bits < quant.FLOAT_BITS:
                widths = (max(bits, self.trained_weight_bits), max(bits, self.trained_activation_bits))
                self.scheme.check(*widths, "--bit-chain", "--bit-chain")
        weights, activations = self.trained_weight_bits, self.trained_activation_bits
        least = min(weights, activations)
        if chain[-1] > least:
            whose = (
                "" if weights == activations else f" of {'weights' if weights == least else 'activations'}"
            )
            raise InputError(
                "--bit-chain", got=f"{' '.join(map(str, chain))}, whose end is more than {least} bits{whose}",
                wanted="an end at the bits that are trained, or below", do=f"let it end with {least}",
            )  # fmt: skip

    @property
    def scheme(self) -> quant.Scheme:
        """The methods of weights and activations. Raises InputError for those that cannot be."""
        return quant.scheme(
            self.method, self.weight_method, self.activation_method, self.weight_bits, self.activation_bits
        )

    @property
    def stages(self) -> quant.Stages:
        """The stages of a training: the method's, or those of the bit chain."""
        return quant.Stages.chain(self.bit_chain) if self.bit_chain else self.scheme.stages

    @property
    def trained_weight_bits(self) -> int:
        """Bits of weights as trained: as asked for, or the method's."""
        return self.scheme.usual_bits("weight") if self.weight_bits is None else self.weight_bits

    @property
    def trained_activation_bits(self) -> int:
        """Bits of activations as trained."""
        asked = self.activation_bits
        return self.scheme.usual_bits("activation") if asked is None else asked

    def skips_of(self, model: str) -> Residual:
        """What the skip paths of ``model`` hold beside activations that are codes."""
        if self.trained_activation_bits == quant.FLOAT_BITS or not models.has_skips(model):
            return "codes"  # one tensor for all its readers
        return next((r for r in RESIDUALS if r == self.residual), self.scheme.residual)
