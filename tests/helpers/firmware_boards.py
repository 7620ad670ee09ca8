"""Firmware of small networks on real boards, and their references, for checks as a user makes them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.settings import BoardSettings, ImageSettings, NetworkSettings, TrainingSettings
from blockwise.firmware.check.integers import IntegerTraining
from blockwise.firmware.program import Firmware, of_plan
from blockwise.integer.net import IntegerNet
from blockwise.training import INTEGER_REGIMES
from devices.program.integer import integer_network


def firmware_on(
    board: str,
    regime: str,
    model: str = "plain4",
    width: int = 4,
    batch: int = 1,
    requantize: str = "buffered",
    data: str = "digits",
) -> tuple[Firmware, IntegerTraining]:
    """On the digits that come with scikit-learn, or another set."""
    training = TrainingSettings((regime,), batch_size=batch, requantize=requantize)
    prepared = prepare(
        Config(
            BoardSettings(board),
            NetworkSettings(model=model, width=width),
            ImageSettings(data),
            training=training,
        )
    )
    net = prepared.build(regime)
    assert isinstance(net, IntegerNet)
    firmware = of_plan(
        prepared.plan(regime), integer_network(prepared.network), net, prepared.config.training.seed
    )
    split = prepared.dataset.train

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        draws = torch.Generator().manual_seed(3)
        while True:
            chosen = torch.randint(0, len(split.labels), (batch,), generator=draws)
            yield split.images[chosen], split.labels[chosen]

    return firmware, IntegerTraining(firmware, net, INTEGER_REGIMES[regime], batches())
