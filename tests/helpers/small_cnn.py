"""A small cnn cut into blocks, and the options of a short training."""

import torch

from blockwise import models, quant
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import TrainOptions
from devices.program.regimes import Step

OPTIONS = TrainOptions(
    epochs=2, batch_size=32, optimizer="sgd-momentum", learning_rate=0.1, fused=False, seed=3
)


def build(method: str = "lsq", head: str = "gap", blocks: str = "layers", norm: str = "batch") -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("cnn", (1, 8, 8), 10, 4, norm)
    groups = Anatomy(chain, head).cut(blocks, Step())
    quant.quantize(chain, method)
    return BlockNet(chain, groups, head)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
