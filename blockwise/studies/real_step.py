"""A real training step of each regime in PyTorch, with every storage counted.

The device's programs are not what PyTorch runs; but under the ``pytorch`` cost table a schedule is,
and then its peak must be, to the byte, what a dispatch mode that counts storages sees
(:class:`blockwise.training.host.StorageCounter`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from blockwise.models import Chain
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.nets.cuts import Cut
from blockwise.training.host import StorageCounter
from blockwise.training.local import block_step
from blockwise.training.segments import ModuleSegment, backpropagate
from blockwise.training.updater import Updater
from devices.network import Network
from devices.network.bits import Bits
from devices.program.accountings import PYTORCH
from devices.program.ledger import Ledger
from devices.program.regimes import Step, find, schedule, update_of
from devices.program.regimes.segment_costs import best_segments

LEARNING_RATE = 0.01


@dataclass(frozen=True)
class Compared:
    """Peaks in bytes by two independent routes: the schedule, and the storages of a real step."""

    regime: str
    batch: int
    scheduled: int
    counted: int

    @property
    def equal(self) -> bool:
        """Whether they agree to the byte."""
        return self.scheduled == self.counted


def compare(
    regime: str, chain: Chain, blocks: str, head: str, batch: int, optimizer: str = "sgd-momentum"
) -> Compared:
    """Both peaks of one float32 step of ``regime`` on ``batch`` random images."""
    if batch == 1:  # a single micro-batch has nothing to accumulate
        regime = find(regime).in_one_pass or regime
    fused = update_of(regime) == "fused"
    step = Step(batch, optimizer, Bits(32, 32, 32), fused, PYTORCH)
    anatomy = Anatomy(chain, head)
    cut = anatomy.cut(blocks, step)
    network = anatomy.network(cut)
    scheduled = Ledger(schedule(regime, network, step), alignment=1).peak_bytes
    return Compared(regime, batch, scheduled, _RealStep(chain, cut, head, network, step).peak_bytes(regime))


class _RealStep:
    """One network, and the storages that a step of it holds."""

    def __init__(self, chain: Chain, cut: Cut, head: str, network: Network, step: Step) -> None:
        self.net, self.network, self.step = BlockNet(chain, cut, head).train(), network, step
        self.x = torch.randn(step.batch, *chain.in_shape)
        self.y = torch.arange(step.batch) % chain.num_classes
        self.units = dict(chain.units.items())

    def peak_bytes(self, regime: str) -> int:
        """Most bytes of storages alive at once."""
        passes: dict[str, Callable[[], Tensor]] = {
            "bp": self._plain, "bp-fused": self._plain, "bp-checkpoint": self._checkpointed,
            "bp-best": self._best, "bp-micro": self._micro,
        }  # fmt: skip
        if regime in passes:
            return self._count(self.net.bodies, self.net.bodies.parameters(), passes[regime])
        by_block = {"local": self._local, "local-paged": self._paged, "local-resident": self._resident}
        return by_block[regime]()

    def _backpropagate(self, segments: Sequence[ModuleSegment]) -> Tensor:
        return backpropagate(segments, self.net.heads[-1], self.x, self.y)

    def _plain(self) -> Tensor:
        return self._backpropagate([ModuleSegment(self.net, False)])

    def _checkpointed(self) -> Tensor:
        last = len(self.net) - 1
        return self._backpropagate([ModuleSegment(self.net.block(i), i < last) for i in range(last + 1)])

    def _best(self) -> Tensor:
        return self._backpropagate(self._chosen(self.step.batch))

    def _micro(self) -> Tensor:
        total, size, head = torch.zeros(()), self.step.micro_batch, self.net.heads[-1]
        segments = self._chosen(size)
        for images, labels in zip(self.x.split(size), self.y.split(size), strict=True):
            total += backpropagate(segments, head, images, labels, len(images) / len(self.x))
        return total

    def _chosen(self, batch: int) -> list[ModuleSegment]:
        """The device's best segments, as modules. Raises ValueError if a cut is within a unit."""
        layers = (*self.network.layers, *self.network.blocks[-1].head)
        segments, count = [], 0
        for segment in best_segments(self.network, layers, self.step, batch):
            names = {layer.name.partition(".")[0] for layer in segment.layers}
            units = [unit for name, unit in self.units.items() if name in names]
            count += len(units)
            segments.append(ModuleSegment(nn.Sequential(*units), segment.recompute))
        if count != len(self.units):
            raise ValueError("a unit is cut: PyTorch has no module for its parts")
        return segments

    def _local(self) -> int:
        """All blocks in turn, the state of all in RAM."""
        return self._count(self.net, self.net.parameters(), self._all_blocks)

    def _all_blocks(self) -> Tensor:
        x, loss = self.x, self.x
        for index in range(len(self.net)):
            x, loss = block_step(self.net, index, x, self.y)
        return loss

    def _paged(self) -> int:
        """Each block's step with only its own state in RAM; the highest of all peaks."""
        peaks, x, loss = [], self.x, torch.zeros(())
        for index in range(len(self.net)):
            block = nn.ModuleList([self.net.bodies[index], self.net.heads[index]])
            step = partial(self._block, index, x)
            peaks.append(self._count(block, block.parameters(), step, x, *[loss] * (index > 0)))
            with torch.no_grad():
                h = self.net.bodies[index](x)
                loss, x = self.net.heads[index](h, self.y), self.net.tails[index](h)
        return max(peaks)

    def _resident(self) -> int:
        """Each block's step behind finished ones, with no other block's optimizer state or head."""
        peaks = []
        for index, (body, head) in enumerate(zip(self.net.bodies, self.net.heads, strict=True)):
            resident = nn.ModuleList([*self.net.bodies, head])
            trained = nn.ModuleList([body, head]).parameters()
            peaks.append(self._count(resident, trained, partial(self._behind_finished, index)))
            body.eval()
            self.net.tails[index].eval()
        return max(peaks)

    def _behind_finished(self, index: int) -> Tensor:
        with torch.no_grad():
            x = self.net.run(self.x, 0, index)
        return self._block(index, x)

    def _block(self, index: int, x: Tensor) -> Tensor:
        return block_step(self.net, index, x, self.y)[1]

    def _count(
        self, resident: nn.Module, trained: Iterable[nn.Parameter], backward: Callable[[], Tensor],
        *kept: Tensor,
    ) -> int:  # fmt: skip
        """Peak of the second step, which finds the optimizer's state made."""
        updater = Updater(trained, self.step.optimizer, fused=self.step.fused)
        updater.set_learning_rate(LEARNING_RATE)
        self._one_step(updater, backward)
        state = [*resident.parameters(), *resident.buffers(), *updater.tensors()]
        with StorageCounter([*state, self.x, self.y, *kept]) as counter:
            self._one_step(updater, backward)
        updater.close()
        return int(counter.peak_bytes)

    @staticmethod
    def _one_step(updater: Updater, backward: Callable[[], Tensor]) -> None:
        loss = backward()
        updater.finish_step()
        del loss
