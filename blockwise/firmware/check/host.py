"""The other side of a check of floats: the same C on this computer, which ends with the same bits."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor as Values

from blockwise.firmware.check import records
from blockwise.firmware.check.reference import Exchange
from blockwise.firmware.program import Firmware
from blockwise.firmware.toolchains import host
from blockwise.firmware.toolchains.toolchain import BuildError
from devices.program.schedule import Tensor

Batches = Iterator[tuple[Values, Values]]


@dataclass(frozen=True, eq=False)
class HostReference:
    """``project`` is the firmware's; ``rate`` the learning rate of a step behind ``done`` of ``total``."""

    firmware: Firmware
    project: Path
    batches: Batches
    rate: Callable[[int, int], float]

    @property
    def tensors(self) -> Sequence[Tensor]:
        """What outlives a step."""
        return self.firmware.resident

    def exchanges(self, steps: int) -> Iterator[Exchange]:
        """The start, and so many steps; each phase of a training has its share of them."""
        asked = list(self._asked(steps))
        answers = iter(self._answered([sent for _, sent in asked]))
        for kind, sent in asked:
            state = next(answers) if kind in records.TOLD else None
            yield Exchange(sent, state, kind == records.STEP)

    def _asked(self, steps: int) -> Iterator[tuple[int, bytes]]:
        yield records.START, records.start(self.firmware.seed)
        phases = len(self.firmware.phases)
        for phase in range(phases):
            count = steps // phases + (phase < steps % phases)
            if self.firmware.one_by_one:
                yield records.BEGIN, records.begin(phase)
            for done in range(count):
                yield records.STEP, records.step(self.firmware, self.rate(done, count), *next(self.batches))
            if self.firmware.one_by_one:
                yield records.END, records.end()

    def _answered(self, sent: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
        sizes = [tensor.bytes for tensor in self.tensors]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            program = host.build(self.project, "check", folder / "check")
            (folder / records.INPUT).write_bytes(b"".join(sent))
            done = subprocess.run([program.resolve()], cwd=folder, check=False)
            if done.returncode:
                raise BuildError("the host program", f"exit code {done.returncode}")
            told = (folder / records.OUTPUT).read_bytes()
        for start in range(0, len(told), sum(sizes)):
            at, state = start, []
            for size in sizes:
                state.append(told[at : at + size])
                at += size
            yield tuple(state)
