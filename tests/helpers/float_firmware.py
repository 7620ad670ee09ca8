"""The float step of :class:`~one_step.OneStep` as a program in C, beside the simulation of the same step.

The program holds its tensors at planned offsets of one array, filled with bytes that are no numbers. It
writes what the array holds behind each step and each phase, and tells of its activations.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from one_step import OneStep, normalize
from torch import Tensor

from blockwise.firmware.check.decisions import Decisions
from blockwise.firmware.check.float_training import AnyUpdater, FloatTraining, Moment
from blockwise.firmware.check.told import FILE, telling, told_of
from blockwise.firmware.emit.floats.order import from_board, maps_from_board
from blockwise.firmware.emit.project import project
from blockwise.firmware.float_facts import FloatFacts, float_facts
from blockwise.firmware.layout import images_to_board, labels_to_board
from blockwise.firmware.phases import packs
from blockwise.firmware.prediction import prediction
from blockwise.firmware.program import Firmware, Spot, Stretch
from blockwise.training.on_board import apart, difference, machine_of
from devices.memory.arena import buffers_of, pack
from devices.program.execute.memory import WORD_BITS, unpacked
from devices.program.inference import float_inference
from devices.program.kernels.machine import FloatMachine
from devices.program.operation import tensors_of
from devices.program.regimes.builder import quantized

FLAGS = ("-std=gnu99", "-O0", "-g0", "-ffp-contract=off", "-fno-strict-aliasing", "-fno-sanitize=all",
         "-Wall", "-Wextra", "-Werror")  # fmt: skip
RATE = 0.05
SEED = 4
"""Of random directions, as OneStep draws them."""

MAIN = """
#include "step.c"
#include "first.c"
#include <stdlib.h>

static void run(FILE *in, FILE *out, int steps) {
    for (int i = 0; i < steps; i++) {
        const int bytes = BLOCKWISE_BATCH * BLOCKWISE_CHANNELS * BLOCKWISE_HEIGHT * BLOCKWISE_WIDTH;
        if (!fread(blockwise_images(), bytes, 1, in)) exit(3);
        if (!fread(blockwise_labels(), BLOCKWISE_BATCH, 1, in)) exit(3);
        blockwise_step();
        fwrite(blockwise_ram0, sizeof blockwise_ram0, 1, out);
    }
}

int main(int count, char **arguments) {
    FILE *in = fopen(arguments[1], "rb"), *out = fopen(arguments[2], "wb");
    const int steps = atoi(arguments[4]);
    (void)count;
    made = fopen(arguments[3], "wb"); /* predictions */
    for (unsigned i = 0; i < sizeof blockwise_ram0; i++) blockwise_ram0[i] = 0xFF;
    blockwise_init(SEED);
    blockwise_set_learning_rate(RATE);
#ifdef BLOCKWISE_PHASES
    for (int phase = 0; phase < BLOCKWISE_PHASES; phase++) {
        blockwise_begin(phase);
        run(in, out, steps);
        blockwise_end();
        fwrite(blockwise_ram0, sizeof blockwise_ram0, 1, out);
    }
#else
    run(in, out, steps);
#endif
#ifdef BLOCKWISE_PREDICTS
    while (fread(blockwise_image(), BLOCKWISE_CHANNELS * BLOCKWISE_HEIGHT * BLOCKWISE_WIDTH, 1, in)) {
        const uint32_t found = blockwise_predict();
        fwrite(&found, 4, 1, made);
        fwrite(LOGITS, 4, BLOCKWISE_CLASSES, made);
    }
#endif
    return fclose(out) + fclose(made);
}
"""
START = '#include <stdio.h>\nstatic FILE *made;\n#include "blockwise.h"'
Bytes = NDArray[np.uint8]
Fault = tuple[str, str, str]
"""A kernel's header, a piece of its text, and what is to stand there."""


class Program:
    """A schedule in C; ``machine`` is where it starts."""

    def __init__(self, regime: str, step: OneStep, machine: FloatMachine) -> None:
        self.schedule, self.machine = step.plan, machine
        self.offsets: Mapping[str, int] = pack(buffers_of(step.plan, 8), 8).offsets
        self.height = max(at + step.plan.tensors[name].bytes for name, at in self.offsets.items())
        one_image = float_inference(step.network, step.step, packed=packs(step.plan))
        self.firmware = telling(Firmware(
            regime, step.batch, 0, step.plan, quantized(step.network, step.step),
            (Stretch("RAM", None, self.height, 0, self.height),),
            {name: Spot(0, offset) for name, offset in self.offsets.items()},
            replace(float_facts(machine, step.in_shape[0], RATE), prediction=one_image),
        ))  # fmt: skip

    def write(self, folder: Path) -> None:
        """The project, with a program that tells what its RAM holds."""
        project(self.firmware, folder)
        text = (folder / "step.c").read_text().replace('#include "blockwise.h"', START, 1)
        (folder / "step.c").write_text(text)
        defined = (
            f"#define RATE {RATE}f\n#define SEED {SEED}\n#define LOGITS (blockwise_ram0 + {self._logits()})\n"
        )
        (folder / "harness.c").write_text(f"{defined}{MAIN}")

    def _logits(self) -> int:
        """Where a prediction leaves them."""
        predictor = prediction(self.firmware)
        assert predictor is not None
        ((_, logits),) = predictor.schedule.operations[-1].operands
        return predictor.spots[tensors_of(logits)[0]].offset

    def value(self, ram: Bytes, name: str) -> Tensor:
        """The elements of a tensor in RAM: weights flat in the simulation's order, maps in its shape."""
        start, tensor = self.offsets[name], self.schedule.tensors[name]
        payload = ram[start : start + tensor.bytes]
        if tensor.bits == WORD_BITS:
            flat = torch.from_numpy(payload.view("<f4").copy())
        else:
            flat = torch.from_numpy(unpacked(payload, tensor.bits, tensor.elements))
        if len(tensor.shape) > 1:
            return maps_from_board(tensor.shape, flat)
        return from_board(self.schedule, name, flat)

    def state(self, rams: Sequence[Bytes], steps: int) -> dict[str, Tensor]:
        """What training leaves, by name: of a phase's own state behind its last step."""
        found: dict[str, Tensor] = {}
        for number, phase in enumerate(self.firmware.phases if self.firmware.one_by_one else ()):
            ram = rams[number * (steps + 1) + steps - 1]
            for index in phase.end:
                names = (n for n in self.schedule.operations[index].reads if n in self.offsets)
                found |= {name: self.value(ram, name) for name in names}
        resident = (name for name, tensor in self.schedule.tensors.items() if tensor.resident)
        return found | {name: self.value(rams[-1], name) for name in resident}


@dataclass
class Compared:
    """One step, or a few, of the board's program and of the simulation."""

    error: float  # of the length of the update
    codes: int  # of activations that were made
    flips: int  # of them, those that differ
    masks: int  # gradients that pass one of the two alone
    program: Program
    rams: list[Bytes]
    board: dict[str, Tensor]
    after: dict[str, Tensor]
    start: dict[str, Tensor]
    worst: list[tuple[float, str]] = field(default_factory=list)

    @property
    def moved(self) -> set[str]:
        """The layers of which the simulation's step changed something."""
        same = {name for name, value in self.after.items() if torch.equal(value, self.start[name])}
        return {name.rpartition(".")[0] for name in self.after.keys() - same}


def compare(
    folder: Path, steps: int = 1, *, regime: str = "bp", fault: Fault | None = None, **settings: Any
) -> Compared:
    """Build and run the C of ``OneStep(regime, **settings)`` and hold it against the simulation."""
    step = OneStep(regime, **settings)
    training = FloatTraining(
        step.chain, step.net, step.plan.layers, step.procedure, step.updater, step.optimizer, normalize, RATE
    )
    updater, batch = step.updater(step.net), (step.images, step.labels)
    phases = step.procedure.phases(step.net)
    for _ in range(step.before if len(phases) == 1 else 0):
        Moment(training, phases[0], updater, *batch).step()
    machine = machine_of(
        step.chain, step.net, updater, step.optimizer, batch, normalize, step.plan.layers, regime
    )
    program, start = Program(regime, step, machine), training.tensors
    built = build(program, folder / "project", fault)
    rams, _ = run(built, program.height, [batch] * (steps * len(phases)), steps)
    decisions = _simulate(training, updater, batch, program, steps, built.with_name(FILE))
    board = program.state(rams, steps)
    after = {name: value for name, value in training.tensors.items() if name in board}
    worst = sorted(((float(apart(board[n], v).abs().max()), n) for n, v in after.items()), reverse=True)[:4]
    return Compared(
        difference(start, after, board), decisions.codes, decisions.flips, decisions.masks, program, rams,
        board, after, start, worst,
    )  # fmt: skip


def predictions(folder: Path, count: int, *, regime: str, **settings: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Classes (count,) and logits of random images behind a training of no steps, and PyTorch's logits."""
    step = OneStep(regime, **settings)
    updater = step.updater(step.net)
    batch = step.images, step.labels
    machine = machine_of(
        step.chain, step.net, updater, step.optimizer, batch, normalize, step.plan.layers, regime
    )
    updater.close()
    program = Program(regime, step, machine)
    images = torch.randint(0, 256, (count, *step.in_shape), dtype=torch.uint8)
    _, made = run(build(program, folder / "project"), program.height, [(images, torch.zeros(0))], 0)
    with torch.no_grad():
        logits = step.net.eval()(normalize(images))
    told = made.reshape(count, -1)
    classes, board = told[:, :4].copy().view("<u4"), told[:, 4:].copy().view("<f4")
    return torch.from_numpy(classes[:, 0].astype(np.int64)), torch.from_numpy(board), logits


def _simulate(
    training: FloatTraining, updater: AnyUpdater, batch: tuple[Tensor, Tensor], program: Program, steps: int,
    told: Path,
) -> Decisions:  # fmt: skip
    """PyTorch's steps, in which it takes the decisions that were told."""
    phases = training.procedure.phases(training.net)
    ranges = [phase.step for phase in program.firmware.phases for _ in range(steps)]
    facts = program.firmware.arithmetic
    assert isinstance(facts, FloatFacts)
    found = told_of(program.schedule, ranges, told)
    with Decisions(training.modules, facts.quantizers, found) as decisions:
        for phase in phases:
            if len(phases) > 1:
                updater.close()
                updater = training.begin(phase)
            for _ in range(steps):
                Moment(training, phase, updater, *batch).step()
    updater.close()
    return decisions


def build(program: Program, folder: Path, fault: Fault | None = None) -> Path:
    """With the compiler that tests have, for this computer; with a fault, if one is to be planted."""
    program.write(folder)
    if fault is not None:
        header, right, wrong = fault
        path = folder / "kernels" / "floats" / header
        text = path.read_text()
        assert text.count(right) == 1
        path.write_text(text.replace(right, wrong))
    call = [sys.executable, "-m", "ziglang", "cc", *FLAGS, "-o", "harness", "harness.c"]
    subprocess.run(call, check=True, cwd=folder)
    return folder / "harness"


def run(
    program: Path, height: int, batches: Sequence[tuple[Tensor, Tensor]], steps: int
) -> tuple[list[Bytes], Bytes]:
    """What RAM holds behind each step and each phase, and predictions."""
    stream = b"".join(images_to_board(images) + labels_to_board(labels, 8) for images, labels in batches)
    given, left, made = (program.with_suffix(end) for end in (".in", ".out", ".predicted"))
    given.write_bytes(stream)
    subprocess.run([program, given, left, made, str(steps)], check=True, cwd=program.parent)
    found = np.frombuffer(left.read_bytes(), np.uint8)
    assert not len(found) % height
    return list(found.reshape(-1, height)), np.frombuffer(made.read_bytes(), np.uint8)
