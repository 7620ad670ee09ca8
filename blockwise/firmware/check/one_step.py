"""One step of each phase by a program on this computer, beside PyTorch's from the same state."""

import math
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blockwise.firmware.check import records
from blockwise.firmware.check.agreement import LARGEST, Agreement, PhaseAgreement
from blockwise.firmware.check.decisions import Decisions
from blockwise.firmware.check.float_training import FloatTraining, Moment
from blockwise.firmware.check.told import FILE, Told, told_of
from blockwise.firmware.emit.floats.order import from_board, to_board
from blockwise.firmware.float_facts import FloatFacts
from blockwise.firmware.program import Firmware
from blockwise.firmware.toolchains.toolchain import BuildError
from blockwise.training.on_board import apart, difference
from devices.program.execute.memory import WORD_BITS

DEPLOYED = "deployed network"
"""The operation that lays down packed blocks, those of other phases among them."""

BEFORE = 2
"""Steps of PyTorch in each phase before the one that is compared: none starts from heads of zero."""

Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass
class OneStep:
    """``program`` is one that tells, of ``firmware``; it is run anew for each phase."""

    firmware: Firmware
    program: Path
    training: FloatTraining
    _sent: list[tuple[int, bytes]] = field(default_factory=list)

    def agreement(self, batches: Batches, before: int = BEFORE) -> Agreement:
        """``before`` steps of PyTorch in each phase, then one of both from where that stands.

        Raises BuildError where the program ends with an error.
        """
        training, found = self.training, []
        self._sent = [(records.START, records.start(self.firmware.seed))]
        for number, phase in enumerate(training.procedure.phases(training.net)):
            updater = training.begin(phase)
            for _ in range(before):
                Moment(training, phase, updater, *next(batches)).step()
            found.append(self._phase(number, Moment(training, phase, updater, *next(batches))))
            updater.close()
        return Agreement(tuple(found), before)

    def _phase(self, number: int, moment: Moment) -> PhaseAgreement:
        """What PyTorch's step leaves is packed by the program, for the phases to come."""
        if self.firmware.one_by_one:
            self._sent.append((records.BEGIN, records.begin(number)))
        found = self._compared(number, moment)
        if self.firmware.one_by_one:
            self._sent += [*self._tensors(number, moment), (records.END, records.end())]
        return found

    def _compared(self, number: int, moment: Moment) -> PhaseAgreement:
        training = self.training
        step = records.step(self.firmware, training.rate, moment.images, moment.labels)
        asked = [*self._sent, *self._tensors(number, moment), (records.STEP, step)]
        board, told = self._run(number, asked)
        start, before = training.tensors, moment.kept()
        decisions = self._step(moment, told)
        own = self._own(number)
        after = {name: value for name, value in training.tensors.items() if name in own}
        share, rounding = difference(start, after, board), 0.0
        if not share <= LARGEST:
            rounding = difference(start, self._exact(moment, told, before, list(after)), after)
        worst = max(after, key=lambda name: _largest(apart(board[name], after[name])))
        return PhaseAgreement(
            number, moment.phase.block, share if math.isfinite(share) else None, rounding, decisions.codes,
            decisions.flips, decisions.masks, worst,
        )  # fmt: skip

    def _step(self, moment: Moment, told: list[Told]) -> Decisions:
        """PyTorch's step, which takes the board's decisions."""
        facts = self.firmware.arithmetic
        assert isinstance(facts, FloatFacts)
        with Decisions(self.training.modules, facts.quantizers, told) as decisions:
            moment.step()
        return decisions

    def _exact(
        self, moment: Moment, told: list[Told], before: object, names: list[str]
    ) -> Mapping[str, Tensor]:
        """What PyTorch's step of 64 bits leaves; network and updater stay behind that of 32."""
        net, left = self.training.net, moment.kept()
        net.double()
        moment.put_back(before)
        self._step(moment, told)
        tensors = self.training.tensors
        net.float()
        moment.put_back(left)
        return {name: tensors[name] for name in names}

    def _own(self, number: int) -> set[str]:
        """The names of what a phase has in RAM beside finished blocks."""
        firmware = self.firmware
        if not firmware.one_by_one:
            return {tensor.name for tensor in firmware.resident}
        schedule = firmware.schedule
        begin = (schedule.operations[index] for index in firmware.phases[number].begin)
        begun = {name for operation in begin if operation.action != DEPLOYED for name in operation.writes}
        return begun.union(name for name, tensor in schedule.tensors.items() if tensor.resident)

    def _tensors(self, number: int, moment: Moment) -> list[tuple[int, bytes]]:
        """Records that put PyTorch's state in the phase's tensors; codes are of what is not trained."""
        own, state, found = self._own(number), moment.state, []
        for index, tensor in enumerate(self.firmware.resident):
            if tensor.name in own and tensor.name in state and tensor.bits == WORD_BITS:
                value = to_board(self.firmware.schedule, tensor.name, state[tensor.name])
                payload = value.contiguous().numpy().astype("<f4").tobytes()
                found.append((records.TENSOR, records.tensor(index, payload)))
        return found

    def _run(self, number: int, asked: list[tuple[int, bytes]]) -> tuple[dict[str, Tensor], list[Told]]:
        """The floats of the state behind the last record, a step, and what that told."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / records.INPUT).write_bytes(b"".join(sent for _, sent in asked))
            done = subprocess.run([self.program.resolve()], cwd=folder, check=False)
            if done.returncode:
                raise BuildError("the host program", f"exit code {done.returncode}")
            answers = (folder / records.OUTPUT).read_bytes()
            told = told_of(self.firmware.schedule, [self.firmware.phases[number].step], folder / FILE)
        return self._floats(records.answers(self.firmware, [kind for kind, _ in asked], answers)[-1]), told

    def _floats(self, payload: bytes) -> dict[str, Tensor]:
        """In the simulation's order, flat."""
        found, at = {}, 0
        for tensor in self.firmware.resident:
            if tensor.bits == WORD_BITS:
                flat = torch.from_numpy(np.frombuffer(payload[at : at + tensor.bytes], "<f4").copy())
                found[tensor.name] = from_board(self.firmware.schedule, tensor.name, flat)
            at += tensor.bytes
        return found


def _largest(difference: Tensor) -> float:
    return float(difference.abs().nan_to_num(math.inf).max())
