"""The C kernels of sums as programs: on this machine, and on an emulated Cortex-M."""

import ctypes
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import blockwise

KERNELS = Path(blockwise.__file__).parent / "firmware" / "c" / "integer"
PROGRAM = Path(__file__).parent / "firmware" / "kernels.c"

VARIANTS = ("plain", "dsp", "mve")


def header(variant: str) -> str:
    """Which kernels are tested."""
    names = ("conv_sums", "conv_input_sums", "conv_weight_sums")
    included = "plain.h" if variant == "plain" else f"{variant}/kernels.h"
    defines = [f"#define {name.upper()} {variant}_{name}" for name in names]
    return "\n".join([f'#include <string.h>\n#include "{KERNELS / included}"', *defines, ""])


def host_program(variant: str, folder: Path, options: Sequence[str] = ()) -> ctypes.CDLL:
    """A library of this machine."""
    (folder / "kernels_under_test.h").write_text(header(variant))
    library = folder / f"{variant}.so"
    command = [
        sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-O1", "-std=gnu99", "-Wall", "-Wextra",
        "-Werror", *options, f"-I{folder}", str(PROGRAM), "-o", str(library),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def run_on_host(library: ctypes.CDLL, words: NDArray[np.uint32], count: int) -> NDArray[np.int32]:
    """So many sums."""
    sums = np.zeros(count, np.int32)
    made = library.run_cases(words.ctypes.data_as(ctypes.c_void_p), sums.ctypes.data_as(ctypes.c_void_p))
    return sums[:made]
