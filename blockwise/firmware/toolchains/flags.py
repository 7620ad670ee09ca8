"""What both compilers are told: the language, and what would change bits, addresses or names."""

NO_CONTRACTION = "-ffp-contract=off"
"""A fused multiply-add rounds once: other bits than the host's."""

COMMON = (
    "-std=gnu99",  # C99, and inline assembly for barriers and semihosting
    "-g0",
    "-ffreestanding",  # no libc behind it
    "-fno-strict-aliasing",  # tensors of several types take turns at one address
    NO_CONTRACTION,
    "-ffunction-sections",
    "-fdata-sections",
)
LINK = ("-nostdlib", "-static", "-Wl,--gc-sections", "-Wl,-e,reset")
