"""A tiny project in the shape of those that are emitted, written by hand, and its meaning in Python.

A layer of 16 weights is trained on one "image" of 16 bytes a step; weights are int8, beside them lies the
state of a xorshift32 generator that rounds the gradients. Small enough to be built and run in a test.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

import blockwise.firmware
from blockwise.firmware.arenas import MemoryMap, heights_of, memory_map
from blockwise.firmware.check.reference import Exchange
from blockwise.firmware.check.subject import Subject
from blockwise.firmware.emit import linker
from devices.boards.profile import Device, load
from devices.memory.arena import Placement, place_on
from devices.program.categories import (
    NORM_AND_QUANTIZER,
    PACKED_WEIGHTS,
    SAVED_ACTIVATIONS,
    WEIGHT_GRADIENTS,
)
from devices.program.schedule import Program, Schedule, Tensor

COUNT = 16
C = Path(blockwise.firmware.__file__).parent / "c"

STEP = """
#include "blockwise.h"

#define NOINLINE __attribute__((noinline))
#define ARENA(n) __attribute__((section(".arena" #n), aligned(8)))
static inline void barrier(void) { __asm__ volatile("" ::: "memory"); }

uint8_t blockwise_ram0[HEIGHT] ARENA(0);

#define IMAGES (blockwise_ram0 + AT_IMAGES)
#define PIXELS ((int8_t *)IMAGES)
#define WEIGHT ((int8_t *)(blockwise_ram0 + AT_WEIGHT))
#define SUMS ((int32_t *)(blockwise_ram0 + AT_SUMS))
#define GRADIENT ((int8_t *)(blockwise_ram0 + AT_GRADIENT))
#define RANDOM ((uint32_t *)(blockwise_ram0 + AT_RANDOM))

/* load batch: centred in place */
static NOINLINE void operation_0(void) {
    for (int i = 0; i < 16; i++) PIXELS[i] = (int8_t)(IMAGES[i] - 128);
    barrier();
}

/* sums = image x weight */
static NOINLINE void operation_1(void) {
    for (int i = 0; i < 16; i++) SUMS[i] = (int32_t)PIXELS[i] * WEIGHT[i];
    barrier();
}

static inline uint32_t drawn(uint32_t s) { s ^= s << 13; s ^= s >> 17; s ^= s << 5; return s; }

/* gradient = sums / 256, rounded by chance */
static NOINLINE void operation_2(void) {
    uint32_t state = *RANDOM;
    for (int i = 0; i < 16; i++) {
        state = drawn(state);
        GRADIENT[i] = (int8_t)((SUMS[i] + (int32_t)(state & 255u)) >> 8);
    }
    *RANDOM = state;
    barrier();
}

/* weight = weight - gradient */
static NOINLINE void operation_3(void) {
    for (int i = 0; i < 16; i++) {
        int32_t next = WEIGHT[i] - GRADIENT[i];
        WEIGHT[i] = (int8_t)(next > 127 ? 127 : next < -127 ? -127 : next);
    }
    barrier();
}

const struct blockwise_tensor blockwise_state[BLOCKWISE_TENSORS] = {
    {blockwise_ram0 + AT_WEIGHT, 16},
    {blockwise_ram0 + AT_RANDOM, 4},
};

uint32_t blockwise_init(uint32_t seed) {
    for (int i = 0; i < 16; i++) WEIGHT[i] = (int8_t)(16 * (i - 8));
    *RANDOM = seed;
    return 0;
}

uint8_t *blockwise_images(void) { return IMAGES; }

__attribute__((noinline)) void blockwise_step(void) {
    operation_0();
    operation_1();
    operation_2();
    operation_3();
}
"""

HEADER = """
#include <stdint.h>
#define BLOCKWISE_TENSORS 2
struct blockwise_tensor { uint8_t *bytes; uint32_t size; };
extern const struct blockwise_tensor blockwise_state[BLOCKWISE_TENSORS];
uint32_t blockwise_init(uint32_t seed);
uint8_t *blockwise_images(void);
void blockwise_step(void);
"""

CHECK = """
#include "blockwise.h"
#include "port.h"

static uint32_t word(int file) { uint32_t w = 0; port_read(file, (uint8_t *)&w, 4); return w; }

int main(void) {
    int in = port_open("check.in", 0), out = port_open("check.out", 1);
    blockwise_init(word(in));
    while (port_read(in, blockwise_images(), 16) == 16) {
        blockwise_step();
        for (int i = 0; i < BLOCKWISE_TENSORS; i++)
            port_write(out, blockwise_state[i].bytes, blockwise_state[i].size);
    }
    port_close(out);
    port_exit(0);
}
"""

PORT = """
#include <stdint.h>
int port_open(const char *name, int write);
uint32_t port_read(int handle, uint8_t *to, uint32_t count);
int port_write(int handle, const uint8_t *from, uint32_t count);
void port_close(int handle);
void port_exit(int code) __attribute__((noreturn));
"""


def schedule() -> Schedule:
    """What the four operations read and write."""
    program = Program()
    program.tensor("layer.weight", (COUNT,), 8, PACKED_WEIGHTS, "layer", resident=True)
    program.tensor("random", (1,), 32, NORM_AND_QUANTIZER, "layer", resident=True)
    program.tensor("batch.images", (1, COUNT), 8, SAVED_ACTIVATIONS, "layer")
    program.tensor("layer.sums", (COUNT,), 32, SAVED_ACTIVATIONS, "layer")
    program.tensor("layer.gradient", (COUNT,), 8, WEIGHT_GRADIENTS, "layer")
    program.emit("load", "load", "layer", subject="batch", writes=["batch.images"])
    program.emit("forward", "forward", "layer", subject="layer", reads=["batch.images", "layer.weight"],
                 writes=["layer.sums"], macs=COUNT)  # fmt: skip
    program.emit("backward (weight)", "backward", "layer", subject="layer", reads=["layer.sums", "random"],
                 writes=["layer.gradient", "random"])  # fmt: skip
    program.emit("update", "update", "layer", subject="layer", reads=["layer.gradient", "layer.weight"],
                 writes=["layer.weight"])  # fmt: skip
    return program.finish()


@dataclass(frozen=True)
class StandIn:
    """The tiny project for a board."""

    device: Device = field(default_factory=lambda: load("stm32f746-disco"))

    @cached_property
    def schedule(self) -> Schedule:
        """Four operations."""
        return schedule()

    @cached_property
    def placement(self) -> Placement:
        """Where its five tensors lie: in one run."""
        return place_on(self.schedule, self.device, self.device.reserve_bytes)

    @cached_property
    def memory(self) -> MemoryMap:
        """The board's, as used."""
        return memory_map(self.device, heights_of(self.placement))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """In the order of the table in step.c."""
        return tuple(self.schedule.tensors[name] for name in ("layer.weight", "random"))

    def files(self) -> dict[str, str]:
        """The project's files by name."""
        (array,) = self.memory.arrays
        names = {"batch.images": "IMAGES", "layer.weight": "WEIGHT", "layer.sums": "SUMS",
                 "layer.gradient": "GRADIENT", "random": "RANDOM"}  # fmt: skip
        places = {at: self.placement.places[name].offset for name, at in names.items()}
        lines = [f"#define AT_{at} {offset}" for at, offset in places.items()]
        step = "\n".join([*lines, f"#define HEIGHT {array.size_bytes}", STEP])
        copied = {
            "start.c": "board/start.c",
            "start.h": "board/start.h",
            "port_semihosting.c": "port/semihosting.c",
            "semihosting.h": "port/semihosting.h",
        }
        board = {name: (C / path).read_text("utf-8") for name, path in copied.items()}
        return {"blockwise.h": HEADER, "step.c": step, "check.c": CHECK, "port.h": PORT, **board,
                "board.ld": linker.script(self.memory)}  # fmt: skip

    def write(self, folder: Path, **edits: tuple[str, str]) -> Path:
        """Write it to ``folder``; ``edits`` replace a text in a file, named by its stem, once."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files().items():
            old, new = edits.get(name.split(".")[0], ("", ""))
            assert old in text
            (folder / name).write_text(text.replace(old, new, 1), "utf-8")
        return folder

    def subject(self, project: Path) -> Subject:
        """What a check of it looks at."""
        addresses = {name: place.address or 0 for name, place in self.placement.places.items()}
        return Subject(self.device, self.schedule, self.memory, addresses, project)

    def exchanges(self, steps: int) -> Iterator[Exchange]:
        """The seed, which nothing answers, and the steps."""
        yield Exchange(sent(()), None, step=False)
        for image, state in self.steps(steps):
            yield Exchange(image, (state[:COUNT], state[COUNT:]))

    def steps(self, count: int, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
        """Of each step the image, and the bytes of the watched tensors behind it."""
        rng = np.random.default_rng(seed)
        weight, state = 16 * (np.arange(COUNT) - 8), seed
        for _ in range(count):
            image = rng.integers(0, 256, COUNT, dtype=np.uint8)
            gradient = np.empty(COUNT, np.int64)
            for i, total in enumerate((image.astype(np.int64) - 128) * weight):
                state = drawn(state)
                gradient[i] = (total + (state & 255)) >> 8
            weight = np.clip(weight - (gradient + 128) % 256 + 128, -127, 127)
            yield image.tobytes(), weight.astype(np.int8).tobytes() + state.to_bytes(4, "little")


def sent(steps: Iterable[tuple[bytes, bytes]], seed: int = 1) -> bytes:
    """What check.in holds for these steps."""
    return seed.to_bytes(4, "little") + b"".join(image for image, _ in steps)


def drawn(state: int) -> int:
    """The next number of a xorshift32 generator."""
    state ^= state << 13 & 0xFFFFFFFF
    state ^= state >> 17
    return state ^ state << 5 & 0xFFFFFFFF
