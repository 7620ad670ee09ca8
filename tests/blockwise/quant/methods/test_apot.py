"""Additive powers of two: the paper's levels, the nearest of them, and both gradients."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from blockwise import models, quant
from blockwise.quant.numeric.level_sets import LevelSet
from blockwise.quant.numeric.ranges import SMALLEST_STEP
from blockwise.training.updater import Updater

THREE_BITS = [0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1]
MAGNITUDES = {1: [0, 1], 2: [0, 0.25, 0.5, 1], 3: THREE_BITS}
CASES = [("weight", bits) for bits in (2, 3, 4, 5)] + [("activation", bits) for bits in (2, 3, 4)]
cases = pytest.mark.parametrize(("role", "bits"), CASES)


def by_the_paper(bits: int, words: int) -> list[float]:
    """Equation 5: sums of one of {0, 2^-i, 2^-(i+n), .. 2^-(i+(2^k-2)n)} for i < n, k bits to a word."""
    k = bits // words
    sums = {Fraction(0)}
    for i in range(words):
        powers = [Fraction(0), *(Fraction(1, 2 ** (i + j * words)) for j in range(2**k - 1))]
        sums = {a + b for a in sums for b in powers}
    return [float(s / max(sums)) for s in sorted(sums)]


def levels(role: str, bits: int) -> list[float]:
    """Relative to the threshold."""
    if role == "activation":
        return by_the_paper(4, 2) if bits == 4 else MAGNITUDES[bits]
    positive = by_the_paper(4, 2) if bits == 5 else MAGNITUDES[bits - 1]
    return [*(-m for m in reversed(positive[1:])), *positive]


def with_scale(role: str, bits: int, scale: float) -> quant.Quantizer:
    quantizer = quant.make("apot", bits, role).double()
    with torch.no_grad():
        quantizer.scale.fill_(scale)
    return quantizer


def normalised(w: list[float]) -> torch.Tensor:
    """By hand, of weights that differ."""
    mean = math.fsum(w) / len(w)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in w) / len(w))
    return torch.tensor([(v - mean) / deviation for v in w], dtype=torch.float64)


@cases
def test_the_levels_are_the_papers(role, bits):
    found = quant.make("apot", bits, role).levels.values
    assert found == pytest.approx(levels(role, bits))
    assert len(found) == (2**bits if role == "activation" else 2**bits - 1)


def test_two_bits_of_one_word_and_four_bits_of_two_are_what_equation_5_gives():
    assert by_the_paper(2, 1) == MAGNITUDES[2]
    assert len(by_the_paper(4, 2)) == 16


@cases
def test_next_to_every_threshold_the_level_is_the_nearest(role, bits):
    """Exact arithmetic on the floats themselves; halfway the lower level is taken."""
    found = quant.make("apot", bits, role).levels
    exact = [Fraction(u, found.top) for u in found.units]
    halfway = [float((a + b) / 2) for a, b in itertools.pairwise(exact)]
    offsets = (-1e-3, -1e-9, 1e-9, 1e-3)
    x = [t + o for t in [*halfway, *map(float, exact)] for o in offsets] + [-9.0, 9.0]
    nearest = [min(exact, key=lambda level: abs(level - Fraction(v))) for v in x]
    points = torch.tensor(x, dtype=torch.float64)
    assert found.nearest(points).tolist() == pytest.approx([float(level) for level in nearest])
    assert found.codes(points).tolist() == [exact.index(level) for level in nearest]


def test_halfway_between_two_levels_the_lower_is_taken():
    found = LevelSet((-4, -2, -1, 0, 1, 2, 4))
    x = torch.tensor([-0.75, -0.375, -0.125, 0.125, 0.375, 0.75])
    assert found.nearest(x).tolist() == [-1, -0.5, -0.25, 0, 0.25, 0.5]


def test_activations_by_hand():
    """The threshold starts at 8: levels of two bits are 0, 2, 4 and 8."""
    x = torch.tensor([-3.0, 0.9, 1.1, 2.9, 3.1, 5.9, 6.1, 9.0])
    assert quant.make("apot", 2, "activation")(x).tolist() == [0, 0, 2, 2, 4, 4, 8, 8]


def test_weights_by_hand():
    """Mean 1 and deviation 2 leave -1.5, -0.5, 0.5 and 1.5; thresholds of three bits times 3 are
    0.375, 1.125 and 2.25."""
    x = 1 + 2 * torch.tensor([-1.5, -0.5, 0.5, 1.5]) / math.sqrt(1.25)
    y = quant.make("apot", 3)(x)
    assert y.tolist() == [-1.5, -0.75, 0.75, 1.5]


numbers = st.floats(-20, 20, width=32)
rows = st.lists(st.tuples(numbers, st.floats(-2, 2, width=32)), min_size=2, max_size=40)


def check(role: str, bits: int, pairs: list[tuple[float, float]], scale: float) -> None:
    """Values and both gradients by the elementwise formulas."""
    w, g = (list(column) for column in zip(*pairs, strict=True))
    v = normalised(w).tolist() if role == "weight" else w
    deviation = float(torch.tensor(w, dtype=torch.float64).std(correction=0))
    exact = levels(role, bits)
    if any(abs(a + b - 2 * u / scale) < 1e-9 for a, b in itertools.pairwise(exact) for u in v):
        return  # rounding may put it on the other side
    quantizer = with_scale(role, bits, scale)
    x = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    y = quantizer(x)
    y.backward(torch.tensor(g, dtype=torch.float64))
    values, dx, dscale = [], [], 0.0
    for u, upstream in zip(v, g, strict=True):
        ratio = u / scale
        level = min(exact, key=lambda q: abs(q - ratio))
        inside = exact[0] <= ratio <= 1
        values.append(level * scale)
        dscale += upstream * (level - ratio if inside else level)
        dx.append(upstream / deviation if role == "weight" else upstream * inside)
    assert y.tolist() == pytest.approx(values)
    assert x.grad.tolist() == pytest.approx(dx)
    assert quantizer.scale.grad.item() == pytest.approx(dscale, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("bits", [2, 3, 4])
@settings(max_examples=40)
@given(pairs=rows, scale=st.floats(0.1, 9))
def test_activations_and_their_gradients_are_the_papers(bits, pairs, scale):
    check("activation", bits, pairs, scale)


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
@settings(max_examples=40)
@given(
    pairs=rows.filter(lambda rows: max(rows)[0] - min(rows)[0] > 1e-2), scale=st.floats(0.1, 9)
)  # fmt: skip
def test_weights_and_their_gradients_are_the_papers(bits, pairs, scale):
    check("weight", bits, pairs, scale)


def test_the_gradient_of_weights_is_not_clipped_and_that_of_activations_is():
    x = torch.tensor([-50.0, 0.5, 1.0, 50.0], dtype=torch.float64)
    found = {}
    for role in ("weight", "activation"):
        leaf = x.clone().requires_grad_()
        with_scale(role, 3, 1.0)(leaf).sum().backward()
        found[role] = leaf.grad
    torch.testing.assert_close(found["weight"], torch.ones(4).double() / x.std(correction=0))
    assert found["activation"].tolist() == [0, 1, 1, 0]


def test_mean_and_deviation_are_constants_of_the_backward_pass():
    """Else the gradient of a sum over all normalised weights would vanish."""
    x = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    with_scale("weight", 3, 3.0)(x).sum().backward()
    torch.testing.assert_close(x.grad, (1 / x.std(correction=0)).expand(50))


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e30])
def test_codes_of_weights_change_neither_with_their_scale_nor_with_their_mean(factor):
    x = torch.randn(6, 7, generator=torch.Generator().manual_seed(3))
    quantizer = quant.make("apot", 4)
    assert torch.equal(quantizer.codes(x * factor), quantizer.codes(x))
    assert (quantizer.codes(x + 1) == quantizer.codes(x)).float().mean() > 0.9


def test_constant_weights_are_zero():
    assert not quant.make("apot", 3)(torch.full((5, 7), 0.3)).any()


class Largest(TorchDispatchMode):
    """Notes the most elements that any tensor made within it has."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.elements = max(self.elements, out.numel())
        return out


@pytest.mark.parametrize("role", ["weight", "activation"])
def test_no_tensor_of_levels_times_elements_is_made(role):
    """The pitfall: distances to every level at once."""
    x = torch.randn(8, 4, 6, 6).requires_grad_()
    with Largest() as largest:
        quant.make("apot", 4, role)(x).sum().backward()
    assert largest.elements == x.numel()


def test_a_chain_of_widths_keeps_the_threshold():
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    quantizer = quant.make("apot", 2)
    with torch.no_grad():
        quantizer.scale.fill_(1.7)
    for bits, count in ((32, 500), (4, 15), (3, 7), (2, 3)):
        quantizer.set_bits(bits)
        assert quantizer(x).unique().numel() == count
    assert quantizer.scale.item() == pytest.approx(1.7)


@pytest.mark.parametrize("crossed", [-3.0, 0.0])
def test_a_threshold_that_crosses_zero_counts_as_its_magnitude(crossed):
    x = torch.randn(40, dtype=torch.float64)
    y = with_scale("weight", 3, crossed)(x)
    assert torch.equal(y, with_scale("weight", 3, max(abs(crossed), SMALLEST_STEP))(x))


def test_first_and_last_layer_have_the_eight_bit_codes_of_lsq():
    model = quant.quantize(models.build("cnn", (1, 8, 8), 10, 4), "apot")
    found = [m.weight_quantizer for m in model.modules() if hasattr(m, "weight_quantizer")]
    assert [type(q).__name__ for q in found] == ["LSQ", "APoTWeight", "APoTWeight", "LSQ"]
    assert [q.bits for q in found] == [8, 3, 3, 8]


def test_thresholds_decay_and_those_of_weights_go_at_a_fifth_of_the_rate():
    """One step of the network's own updater at rate 0.1, by hand: e^-(g / a + d) rate, with Nesterov."""
    layers = (
        torch.nn.Linear(4, 4),
        torch.nn.ReLU(),
        torch.nn.Linear(4, 4),
        torch.nn.ReLU(),
        torch.nn.Linear(4, 2),
    )
    model = quant.quantize(torch.nn.Sequential(*layers), "apot", 3, 3)
    inner, activation = model[2].weight_quantizer, model[1].quantizer
    rules = quant.ParameterRules.of(model)
    updater = Updater([inner.scale, activation.scale], "sgd-momentum", fused=False, rules=rules)
    updater.set_learning_rate(0.1)
    for scale in (inner.scale, activation.scale):
        scale.grad = torch.tensor(0.1)
    updater.finish_step()
    for scale, start, rate in ((inner.scale, 3, 0.02), (activation.scale, 8, 0.1)):
        share = 0.1 / start + 1e-4
        assert scale.item() == pytest.approx(start * math.exp(-rate * 1.9 * share), rel=1e-6)
