"""What others measured on cores whose instructions are not counted here: products per cycle.

Inference is what is published. A step of training does more beside its products, so times by these figures
are rather too short; where a figure is a kernel's best, they say so.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Multiply-accumulates per cycle, None where none was found, and where they were read."""

    integer: float | None
    float32: float | None
    integer_source: str = ""
    float_source: str = ""
    clock_mhz: float | None = None  # of what computes, where that is another clock than the profile's


# ESP-NN: the three convolutions of its table, 536,576 products in 1,148,665 cycles with vector instructions.
# ESP-DSP: a dot product of 256 floats in C takes 1,311 cycles.
# PULP-NN (arXiv 1908.11263): 15.5 products of 8 bits a cycle on the eight cores of a GAP8 at best, 63 times
# what one core makes with the instructions of RV32IMC alone. A GAP8's cluster has a clock of its own, of at
# most 175 MHz beside the 250 of the core that the profile tells (greenwaves-technologies.com/gap8_gap9).
_ESP_NN_PRODUCTS = 64 * 64 * 100 + 16 * 16 * 64 + 64 * 27 * 64
_ESP_NN_CYCLES = 461_398 + 43_578 + 643_689
_PULP_NN = "PULP-NN, arXiv 1908.11263"

PUBLISHED: dict[str, Published] = {
    "2x Xtensa LX7": Published(
        _ESP_NN_PRODUCTS / _ESP_NN_CYCLES,
        256 / 1311,
        "convolutions of ESP-NN 1.0.2 on one ESP32-S3 core, 240 MHz",
        "a dot product in C, ESP-DSP's benchmarks",
    ),
    "RV32IMC": Published(15.5 / 63, None, f"a convolution with RV32IMC alone, {_PULP_NN}"),
    "8+1x RISC-V": Published(15.5, None, f"a convolution on eight cores at best, {_PULP_NN}", clock_mhz=175),
}
"""By the core as profiles name it."""
