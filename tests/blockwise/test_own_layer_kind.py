"""A kind of layer from outside the packages: with a file and a line it is planned and trained."""

import pytest
import torch
from tilted import Tilted, TiltedOp
from torch import nn
from torch.nn import functional as F

import blockwise
import devices
from blockwise.quant.layers import Signed
from devices.errors import InputError
from devices.network import ops
from devices.program.accountings import DEVICE, PYTORCH
from devices.program.regimes import REGIMES

SHAPE = (1, 8, 8)


class Small(nn.Module):
    """A residual network of two convolutions behind the stem, with ``act`` in all places."""

    def __init__(self, act: type[nn.Module]) -> None:
        super().__init__()
        self.stem, self.norm, self.act = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), act(0.25)
        self.conv1, self.norm1, self.act1 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), act(0.25)
        self.conv2, self.norm2, self.act2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), act(0.25)
        self.drop, self.pool, self.flat = nn.Dropout2d(0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.fc = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.stem(x)))
        h = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        return self.fc(self.flat(self.pool(self.drop(self.act2(h + x)))))


@pytest.fixture
def known():
    ops.register(TiltedOp)  # the line
    yield
    ops.OPS.remove(TiltedOp)


@pytest.mark.slow
@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("regime", REGIMES)
def test_it_is_planned_as_the_layer_that_does_the_same_under_every_float_regime(regime):
    own, leaky = (blockwise.from_module(Small(act), SHAPE) for act in (Tilted, nn.LeakyReLU))
    for bits in (3, 32):
        for table in (DEVICE, PYTORCH) if bits == 32 and regime == "bp" else (DEVICE,):
            plans = [
                devices.plan(
                    chain, "stm32", regime=regime, batch_size=4, weight_bits=bits, activation_bits=bits,
                    blocks=2, head="gap", table=table,
                )
                for chain in (own, leaky)
            ]  # fmt: skip
            assert plans[0].peak_bytes == plans[1].peak_bytes > 0
            assert plans[0].by_category == plans[1].by_category
            assert plans[0].schedule.macs == plans[1].schedule.macs


@pytest.mark.usefixtures("known")
def test_it_is_trained_quantized_where_the_plan_says_and_learns():
    torch.manual_seed(0)
    chain = blockwise.quant.quantize(blockwise.from_module(Small(Tilted), SHAPE), "lsq", 4, 4)
    readers = [m.input_quantizer for m in chain.modules() if getattr(m, "input_quantizer", None) is not None]
    assert [type(q) for q in readers] == [Signed] * 3  # its values have both signs, and so has their mean
    assert [q.bits for q in readers] == [4, 4, 8]
    y = torch.arange(64) % 10
    x = torch.randn(64, *SHAPE) + y.view(-1, 1, 1, 1)
    optimizer = torch.optim.SGD(chain.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(chain(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
@pytest.mark.usefixtures("known")
def test_it_is_trained_from_the_front_door_globally_and_block_by_block():
    torch.manual_seed(0)
    result = blockwise.train(
        Small(Tilted), data="digits", regimes=("bp", "local"), epochs=1, blocks="2",
        head="gap", method="lsq",
    )  # fmt: skip
    assert all(row.test_accuracy > 0.2 for row in result.regimes)  # chance is 0.1


def test_without_the_line_it_is_refused_by_name():
    with pytest.raises(InputError):
        blockwise.from_module(Small(Tilted), SHAPE)
