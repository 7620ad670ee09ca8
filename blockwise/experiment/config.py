"""The configuration of a comparison: frozen, checked when it is made, the source of every flag."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from blockwise import quant
from blockwise.experiment.settings import (
    BoardSettings,
    ImageSettings,
    LocalSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
    ZerothOrderSettings,
)
from devices.errors import InputError
from devices.network import Residual


@dataclass(frozen=True)
class Config:
    """Everything a comparison depends on. Raises InputError for the first value that cannot be."""

    board: BoardSettings = field(default_factory=BoardSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    quantization: QuantizationSettings = field(default_factory=QuantizationSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    zeroth_order: ZerothOrderSettings = field(default_factory=ZerothOrderSettings)
    local: LocalSettings = field(default_factory=LocalSettings)

    def __post_init__(self) -> None:
        """Check what groups only show together: each has checked itself."""
        if self.images.in_shape is not None and not self.output.dry_run:
            raise InputError(
                "--in-shape", got="a run that trains", wanted="a dry run: there are no images of that shape",
                do="add --dry-run, or name --data",
            )  # fmt: skip
        self.stages.check(self.training.epochs)
        if self.training.last_epochs is not None:
            self.stages.check(self.training.last_epochs, "--last-epochs")

    @property
    def scheme(self) -> quant.Scheme:
        """The methods of weights and activations."""
        return self.quantization.scheme

    @property
    def stages(self) -> quant.Stages:
        """The stages of the training."""
        return self.quantization.stages

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized."""
        return self.scheme.is_float

    @property
    def weight_bits(self) -> int:
        """Bits of weights as trained."""
        return self.quantization.trained_weight_bits

    @property
    def activation_bits(self) -> int:
        """Bits of activations as trained."""
        return self.quantization.trained_activation_bits

    @property
    def residual(self) -> Residual:
        """What skip paths hold beside activations that are codes."""
        return self.quantization.skips_of(self.network.model)

    @property
    def learning_rate(self) -> float:
        """Peak learning rate."""
        return self.training.learning_rate

    def learning(self) -> dict[str, Any]:
        """The flat settings that decide what is learnt and counted: all but the output's and other boards."""
        groups = (
            self.board, self.network, self.images, self.quantization, self.training, self.zeroth_order,
            self.local,
        )  # fmt: skip
        found = {key: value for group in groups for key, value in asdict(group).items()}
        del found["other_devices"]
        return found

    def fingerprint(self, *extra: object, without: Collection[str] = ()) -> str:
        """A short hash of :meth:`learning` and whatever else must agree.

        ``without`` are settings that an earlier version, whose fingerprint it is to be, did not have.
        """
        said = self.training.part.said
        learning = {name: value for name, value in self.learning().items() if name not in without}
        agreed = [learning, extra, *([said] if said else [])]
        text = json.dumps(agreed, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
