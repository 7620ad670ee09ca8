"""What float kernels are made of, against NumPy: roots, exponentials, logarithms, rounding, packed codes."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import blockwise.firmware
from devices.program.execute.memory import packed

C = Path(blockwise.firmware.__file__).parent / "c"
PROGRAM = """
#include "floats/forms.h"
#include "floats/lsq.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads floats, writes their roots, exponentials, nearest whole numbers, logarithms; or codes, and writes the
 * bytes that they make in order, in order in two parts, backward into zeros, and the codes read of these. */
static float x[1 << 20];
static uint8_t bytes[1 << 18];
static uint32_t codes[1 << 12];

static void packs(int bits, int count) {
    const int size = (int)bytes_of(count, bits), half = count / 3;
    struct code_writer w = write_codes(bytes, bits, 0);
    for (int i = 0; i < count; i++) write_code(&w, bits, codes[i]);
    end_codes(&w);
    fwrite(bytes, size, 1, stdout);
    memset(bytes, 0, sizeof bytes);
    w = write_codes(bytes, bits, 0);
    for (int i = 0; i < half; i++) write_code(&w, bits, codes[i]);
    end_codes(&w);
    w = write_codes(bytes, bits, half);
    for (int i = half; i < count; i++) write_code(&w, bits, codes[i]);
    end_codes(&w);
    fwrite(bytes, size, 1, stdout);
    memset(bytes, 0, sizeof bytes);
    for (int i = count; i-- > 0;) put_code(bytes, bits, i, codes[i]);
    fwrite(bytes, size, 1, stdout);
    for (int i = 0; i < count; i++) codes[i] = code_at(bytes, bits, i);
    fwrite(codes, sizeof *codes, count, stdout);
    for (int i = 0; bits <= 4 && i < count / 8 * 8; i++)
        codes[i] = eight_codes(bytes, bits, i / 8 * 8) >> i % 8 * bits & ((1u << bits) - 1);
    fwrite(codes, sizeof *codes, count, stdout);
}

int main(int count, char **arguments) {
    if (count > 2) { /* activations, each with its derivative */
        const int n = (int)fread(x, sizeof *x, 1 << 20, stdin);
        for (int i = 0; i < n; i++) {
            const float s = sigmoid(x[i]), t = hyperbolic_tangent(x[i]), h = hard_sigmoid(x[i]);
            const float e = elu(x[i], 0.5f);
            const float y[] = {
                silu(x[i]), silu_slope(x[i]), hard_swish(x[i]), hard_swish_slope(x[i]), gelu(x[i]),
                gelu_slope(x[i]), gelu_by_tanh(x[i]), gelu_by_tanh_slope(x[i]), leaky(x[i], 0.1f),
                s, sigmoid_slope_of(s), t, hyperbolic_tangent_slope_of(t), h, hard_sigmoid_slope_of(h),
                e, elu_slope_of(e, 1.0f, 0.5f), mish(x[i]), mish_slope(x[i]),
                1.05070099f * elu(x[i], 1.67326324f),
                elu_slope_of(1.05070099f * elu(x[i], 1.67326324f), 1.05070099f, 1.75809934f),
            };
            fwrite(y, sizeof y, 1, stdout);
        }
        return 0;
    }
    if (count > 1) {
        packs(atoi(arguments[1]), (int)fread(codes, sizeof *codes, 1 << 12, stdin));
        return 0;
    }
    const int n = (int)fread(x, sizeof *x, 1 << 20, stdin);
    for (int i = 0; i < n; i++) {
        const float y[] = {square_root(x[i]), exponential(x[i]), rounded(x[i]), logarithm(x[i])};
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arithmetic")
    (folder / "program.c").write_text(PROGRAM)
    flags = ["-std=gnu99", "-O1", "-g0", "-ffp-contract=off", "-fno-sanitize=all", f"-I{C}"]
    call = [sys.executable, "-m", "ziglang", "cc", *flags, "program.c", "-o", "program"]
    subprocess.run(call, check=True, cwd=folder)
    return folder / "program"


def results(program, values):
    given = values.astype("<f4").tobytes()
    done = subprocess.run([program], input=given, check=True, capture_output=True)
    return np.frombuffer(done.stdout, "<f4").reshape(-1, 4).T


def test_roots_are_rounded_correctly(program):
    """Of numbers of every exponent, below the normal ones as well."""
    random = np.random.default_rng(0)
    values = random.integers(0, 0x7F80_0000, 1 << 19, dtype=np.uint32).view(np.float32)
    edges = np.array([0.0, 1e-45, 1.1754944e-38, 1.0, 2.0, 4.0, np.inf], np.float32)
    squares = np.square(random.integers(1, 1 << 12, 1 << 12)).astype(np.float32)
    every = np.concatenate([values, edges, squares])
    np.testing.assert_array_equal(results(program, every)[0], np.sqrt(every))


def test_exponentials_are_within_two_units_in_the_last_place(program):
    values = np.random.default_rng(0).uniform(-86, 88, 1 << 19).astype(np.float32)
    values[:3] = 0.0, -1e-8, 1e-8
    found, exact = results(program, values)[1], np.exp(values.astype(np.float64))
    assert found[0] == 1.0
    assert np.abs(found / exact - 1).max() < 2.0**-22
    np.testing.assert_array_equal(results(program, np.array([-90.0, -1e30]))[1], 0.0)


def test_logarithms_are_within_a_unit_in_the_last_place_or_of_two_to_the_minus_24(program):
    """Of normal numbers of every exponent, and close to 1 and to where the exponent changes."""
    random = np.random.default_rng(0)
    every = random.integers(0x0080_0000, 0x7F80_0000, 1 << 19, dtype=np.uint32).view(np.float32)
    near = np.concatenate(
        [1 + random.uniform(-1e-3, 1e-3, 1 << 12), np.sqrt(2) + np.linspace(-1e-6, 1e-6, 99)]
    )
    values = np.concatenate([every, near.astype(np.float32), np.array([1, 2, 10], np.float32)])
    found, exact = results(program, values)[3], np.log(values.astype(np.float64))
    assert np.abs(found - exact).max(initial=0, where=np.abs(exact) < 1) < 2.0**-23
    assert np.abs(found / np.where(exact, exact, 1) - 1).max(initial=0, where=np.abs(exact) >= 1) < 2.0**-22
    assert found[-3] == 0.0


def test_halves_are_rounded_to_even(program):
    halves = np.arange(-1000, 1000, dtype=np.float32) + 0.5
    values = np.concatenate([halves, np.random.default_rng(0).uniform(-(2**21), 2**21, 1 << 16)])
    found = results(program, values.astype(np.float32))[2]
    np.testing.assert_array_equal(found, np.rint(values.astype(np.float32)))


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 8, 16])
def test_codes_are_packed_as_on_the_boards_of_the_simulation(bits, program):
    codes = np.random.default_rng(bits).integers(0, 1 << bits, 1001)
    done = subprocess.run(
        [program, str(bits)], input=codes.astype("<u4").tobytes(), check=True, capture_output=True
    )
    want = packed(codes, bits)
    made = np.frombuffer(done.stdout[: 3 * len(want)], np.uint8).reshape(3, -1)
    for way in made:
        np.testing.assert_array_equal(way, want)
    read = np.frombuffer(done.stdout[3 * len(want) :], "<u4").reshape(2, -1)
    for way in read:
        np.testing.assert_array_equal(way, codes)


ACTIVATIONS = [
    F.silu, F.hardswish, F.gelu, partial(F.gelu, approximate="tanh"),
    partial(F.leaky_relu, negative_slope=0.1), torch.sigmoid, torch.tanh, F.hardsigmoid,
    partial(F.elu, alpha=0.5), F.mish, F.selu,
]  # fmt: skip
TOLD_BY_SIGN = 4
"""Its derivative is not computed here."""


def test_activations_and_their_derivatives_are_those_of_pytorch_in_64_bits(program):
    values = np.concatenate(
        [
            np.linspace(-30, 30, 6001) + 1e-4,
            np.geomspace(1e-8, 1, 99),
            -np.geomspace(1e-8, 1, 99),
            [-100, 100, 0.5],
        ]
    )
    given = values.astype("<f4")
    done = subprocess.run([program, "forms", "all"], input=given.tobytes(), check=True, capture_output=True)
    found = iter(np.frombuffer(done.stdout, "<f4").reshape(len(values), -1).T.astype(float))
    for index, activation in enumerate(ACTIVATIONS):
        x = torch.from_numpy(given.astype(float)).requires_grad_()
        right = activation(x)
        (slope,) = torch.autograd.grad(right.sum(), x)
        assert np.allclose(next(found), right.detach(), rtol=5e-7, atol=2e-7), index
        if index != TOLD_BY_SIGN:
            assert np.allclose(next(found), slope, rtol=5e-7, atol=5e-7), index
    assert next(found, None) is None
