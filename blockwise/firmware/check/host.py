"""The other side of a check of floats: the same C on this computer, which ends with the same bits."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from torch import Tensor as Values

from blockwise.firmware.check import records
from blockwise.firmware.check.reference import Exchange, class_of
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
    singles: Values | None = None  # uint8 images, each of which is predicted by itself in the end

    @property
    def tensors(self) -> Sequence[Tensor]:
        """What outlives a step."""
        return self.firmware.resident

    def exchanges(self, steps: int) -> Iterator[Exchange]:
        """The start, and so many steps; each phase of a training has its share of them."""
        asked = list(self._asked(steps))
        number = 0
        for (kind, sent), answer in zip(asked, self._answered(asked), strict=True):
            if kind == records.PREDICT:
                yield Exchange(sent, (answer,), step=False, tensors=class_of(number))
                number += 1
            else:
                state = self._parts(answer) if kind in records.TOLD else None
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

        for image in () if self.singles is None else self.singles:
            yield records.PREDICT, records.predict(image)

    def _answered(self, asked: Sequence[tuple[int, bytes]]) -> list[bytes]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            program = host.build(self.project, "check", folder / "check")
            (folder / records.INPUT).write_bytes(b"".join(sent for _, sent in asked))
            done = subprocess.run([program.resolve()], cwd=folder, check=False)
            if done.returncode:
                raise BuildError("the host program", f"exit code {done.returncode}")
            told = (folder / records.OUTPUT).read_bytes()
        return records.answers(self.firmware, [kind for kind, _ in asked], told)

    def _parts(self, state: bytes) -> tuple[bytes, ...]:
        """Tensor by tensor."""
        ends = list(accumulate(tensor.bytes for tensor in self.tensors))
        return tuple(state[start:end] for start, end in zip([0, *ends], ends, strict=False))
