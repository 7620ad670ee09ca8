"""Firmware of the steps that tests make, built for this computer and held against the simulation."""

import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from integer_steps import IntegerSteps
from torch import Tensor

from blockwise.firmware import Firmware, integer_facts, project
from blockwise.firmware.check import records
from blockwise.firmware.program import Spot, Stretch, of_net
from blockwise.integer.loss import predicted
from blockwise.training.digest import digest
from devices.program.regimes import find

SEED = 7
"""That IntegerSteps takes its weights from."""

CLASSES = 3
COMPILER = (
    sys.executable, "-m", "ziglang", "cc", "-std=gnu99", "-g0", "-fno-strict-aliasing", "-fno-sanitize=all",
)  # fmt: skip
WARNINGS = ("-Wall", "-Wextra", "-Werror")

POISON = """\
#include "check.c"
#include "port_host.c"
#include <string.h>
extern uint8_t blockwise_ram0[];
/* All that does not outlive a step: whoever reads it before it is written reads nonsense. */
void poison(void) {{
    static uint8_t kept[BLOCKWISE_STATE_BYTES];
    blockwise_state_read(kept);
    memset(blockwise_ram0, 0xFF, {height});
    blockwise_state_write(kept);
}}
"""


def firmware_of(steps: IntegerSteps) -> Firmware:
    """In one run of RAM, as the arena's offsets have it."""
    tensors = steps.plan.tensors
    height = max(offset + tensors[name].bytes for name, offset in steps.offsets.items())
    stretch = Stretch("ram", None, height, 0, height)
    spots = {name: Spot(0, offset) for name, offset in steps.offsets.items()}
    told = steps.perturbation if find(steps.regime).perturbs else None
    return of_net(
        steps.regime, steps.plan, steps.network, steps.net, steps.batch, SEED, (stretch,), spots, told=told,
        jump_every=steps.jump_every,
    )  # fmt: skip


def built(firmware: Firmware, folder: Path, optimize: str = "-O0") -> Path:
    """The check program of a firmware for this computer; what dies is poisoned before every record."""
    project(firmware, folder)
    (folder / "poisoned.c").write_text(POISON.format(height=firmware.stretches[0].height))
    options = (optimize, *WARNINGS, "-DBLOCKWISE_POISON=poison")
    sources = ("step.c", "poisoned.c", *(["frozen.c"] if firmware.constants else []))
    subprocess.run([*COMPILER, *options, *sources, "-o", "check_host"], cwd=folder, check=True)
    return folder / "check_host"


def asked(firmware: Firmware, program: Path, wanted: list[bytes]) -> list[bytes]:
    """What the program answers to records."""
    folder = program.parent
    (folder / records.INPUT).write_bytes(b"".join(wanted))
    subprocess.run([str(program)], cwd=folder, check=True)
    kinds = [struct.unpack_from("<I", record)[0] for record in wanted]
    return records.answers(firmware, kinds, (folder / records.OUTPUT).read_bytes())


@dataclass
class Compared:
    """Steps of the firmware beside those of the simulation."""

    wrong: list[str]
    checksum: str
    digest: str
    predicted: list[int]
    classes: list[int]  # by the simulation, image by image


def compare(
    steps: IntegerSteps, folder: Path, count: int = 3, images: int = 8, optimize: str = "-O0"
) -> Compared:
    """From first weights that the firmware draws; every resident byte after the start and after each step.

    Then the checksum, and the classes of single images.
    """
    firmware = firmware_of(steps)
    program = built(firmware, folder, optimize)
    batches = [batch_of(steps, number) for number in range(count)]
    singles = torch.cat([batch_of(steps, count + number)[0] for number in range(images)])[:images]
    wanted, states = [records.start(SEED)], [state_of(steps)]
    for x, y in batches:
        steps.updater.set_progress(0, 1)
        wanted.append(records.step(firmware, firmware.facts.mu, x, y))
        take_step(steps, x, y)
        states.append(state_of(steps))
    wanted += [records.checksum(), *map(records.predict, singles)]
    found = asked(firmware, program, wanted)
    wrong = [
        f"{name} after {index} steps"
        for index, (payload, state) in enumerate(zip(found, states, strict=False))
        for name, value in records.tensors(firmware, payload).items()
        if not torch.equal(value.long(), state[name].long())
    ]
    crc, *classes = (struct.unpack("<I", word)[0] for word in found[len(states) :])
    return Compared(
        wrong, f"{crc:08x}", digest(trained_weights(steps)), classes, [class_of(steps, x) for x in singles]
    )


def batch_of(steps: IntegerSteps, number: int) -> tuple[Tensor, Tensor]:
    """Noise, brighter from class to class, so that there is something to learn."""
    generator = torch.Generator().manual_seed(number)
    labels = torch.randint(0, CLASSES, (steps.batch,), generator=generator)
    noise = torch.randint(0, 128, (steps.batch, *steps.in_shape), generator=generator)
    return (noise + 63 * labels.view(-1, *[1] * len(steps.in_shape))).to(torch.uint8), labels


def take_step(steps: IntegerSteps, images: Tensor, labels: Tensor) -> None:
    """Of the simulation."""
    steps.take(images, labels)


def class_of(steps: IntegerSteps, image: Tensor) -> int:
    """What the simulation makes of one image."""
    steps.net.eval()
    last = len(steps.net) - 1
    logits = steps.net.head(last).classify(steps.net.run(image[None], 0, last + 1))
    return int(predicted(logits))


def state_of(steps: IntegerSteps) -> dict[str, Tensor]:
    """All that a step keeps, as the simulation has it."""
    return integer_facts.state_of(steps.net, steps.network, steps.plan)


def trained_weights(steps: IntegerSteps) -> list[Tensor]:
    """Bodies, then the heads that the regime trains."""
    heads = sorted({index for phase in steps.procedure.phases(steps.net) for index in phase.heads})
    modules = [*steps.net.bodies, *(steps.net.heads[index] for index in heads)]
    return [
        buffer for module in modules for name, buffer in module.named_buffers() if name.endswith("weight")
    ]
