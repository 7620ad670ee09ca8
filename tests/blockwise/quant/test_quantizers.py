"""What every quantizer of the catalogue promises, whatever its method, width and role."""

import copy
import itertools
import re

import pytest
import torch

from blockwise import quant
from devices.errors import InputError

CASES = [
    pytest.param(name, bits, role, id=f"{name}-{bits}-{role}")
    for name in quant.METHODS
    for bits in range(1, 9)
    for role in ("weight", "activation")
]
QUANTIZING = [case for case in CASES if case.values[0] != "fp32"]

every = pytest.mark.parametrize(("name", "bits", "role"), CASES)
every_quantizing = pytest.mark.parametrize(("name", "bits", "role"), QUANTIZING)


def values(seed: int = 0, shape: tuple[int, ...] = (4, 6, 5, 3)) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradients(quantizer: quant.Quantizer, x: torch.Tensor) -> list[torch.Tensor]:
    """Of the input and of a trained step, behind upstream gradients that differ by element."""
    quantizer.zero_grad()
    x = x.detach().requires_grad_()
    y = quantizer(x)
    (y * values(9, tuple(y.shape)).to(y.dtype)).sum().backward()
    return [x.grad, *(p.grad for p in quantizer.parameters())]


@every
@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (7, 20), (5,), (1, 1), (2, 1, 1, 1)])
def test_shape_and_type_stay(name, bits, role, shape):
    for dtype in (torch.float32, torch.float64):
        y = quant.make(name, bits, role)(values(0, shape).to(dtype))
        assert y.shape == shape
        assert y.dtype == dtype


@every_quantizing
def test_there_are_at_most_two_to_the_bits_values(name, bits, role):
    quantizer = quant.make(name, bits, role)
    y = quantizer(3 * values(1, (50, 100)))
    assert 2 <= y.unique().numel() <= 2**bits


def test_fp32_is_the_identity():
    x = values()
    assert quant.make("fp32", 3, "activation")(x) is x


@every_quantizing
def test_equal_codes_mean_equal_values_and_larger_codes_larger_ones(name, bits, role):
    """A table of 2^b entries, made from the first half of the tensor, decodes the second half."""
    quantizer = quant.make(name, bits, role)
    x = 2 * values(2, (40, 100))
    y, codes = quantizer(x).detach().flatten(), quantizer.codes(x).flatten()
    table = {int(code): float(value) for code, value in zip(codes, y, strict=True)}
    assert [table[int(code)] for code in codes] == y.tolist()
    ordered = [table[code] for code in sorted(table)]
    assert all(a < b for a, b in itertools.pairwise(ordered))
    assert len(table) <= 2**bits
    assert codes.dtype == torch.int64
    assert codes.min() >= -128
    assert codes.max() <= 255
    assert codes.max() - codes.min() < 2**bits or (bits, role) == (1, "weight")


@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_decode_by_each_methods_closed_form(bits):
    x, levels = 2 * values(3, (30, 50)), 2**bits - 1
    for role in ("weight", "activation"):
        lsq = quant.make("lsq", bits, role)
        torch.testing.assert_close(lsq(x), lsq.codes(x) * lsq.step, rtol=0, atol=0)
    dorefa = quant.make("dorefa", bits, "activation")
    torch.testing.assert_close(dorefa(x), dorefa.codes(x) / levels)
    dorefa = quant.make("dorefa", bits, "weight")
    scale = x.abs().mean() if bits == 1 else 1
    torch.testing.assert_close(dorefa(x), scale * (2 * dorefa.codes(x) / levels - 1))


@every_quantizing
def test_quantized_values_stay_where_they_are(name, bits, role):
    """Not so for DoReFa's weights above one bit: their tanh moves the levels."""
    quantizer = quant.make(name, bits, role)
    once = quantizer(values(4))
    twice = quantizer(once)
    if (name, role) == ("dorefa", "weight") and bits > 1:
        assert twice.unique().numel() <= 2**bits
        assert torch.equal(once.sign(), twice.sign())
    else:
        torch.testing.assert_close(twice, once)


@every
def test_larger_inputs_never_give_smaller_outputs(name, bits, role):
    y = quant.make(name, bits, role)(torch.linspace(-3, 3, 501)[None])
    assert (y.diff() >= 0).all()


@every
@pytest.mark.parametrize("constant", [0.0, 0.3, -2.0, 1e-30, 1e4])
def test_constant_tensors_give_finite_values_and_gradients(name, bits, role, constant):
    quantizer = quant.make(name, bits, role)
    x = torch.full((3, 4, 2), constant)
    assert quantizer(x).isfinite().all()
    assert quantizer(x).unique().numel() == 1
    assert all(g.isfinite().all() for g in gradients(quantizer, x))


@every
def test_gradients_are_finite_and_of_the_inputs_shape(name, bits, role):
    x = values(5)
    first, *others = gradients(quant.make(name, bits, role), x)
    assert first.shape == x.shape
    assert all(g.isfinite().all() for g in (first, *others))


@every
@pytest.mark.parametrize("layout", ["transposed", "strided", "channels_last", "offset", "expanded"])
def test_the_layout_in_memory_changes_nothing(name, bits, role, layout):
    plain = values(6, (4, 6, 5, 3))
    if layout == "expanded":
        plain = plain[:1].repeat(4, 1, 1, 1)
    laid_out = {
        "transposed": lambda: plain.transpose(1, 3).contiguous().transpose(1, 3),
        "strided": lambda: torch.stack([plain, plain], dim=-1)[..., 0],
        "channels_last": lambda: plain.contiguous(memory_format=torch.channels_last),
        "offset": lambda: torch.cat([torch.ones(1, 6, 5, 3), plain])[1:],
        "expanded": lambda: plain[:1].expand(4, 6, 5, 3),
    }[layout]()
    assert torch.equal(laid_out, plain)
    quantizer, other = quant.make(name, bits, role), quant.make(name, bits, role)
    torch.testing.assert_close(quantizer(plain), other(laid_out))
    for a, b in zip(gradients(quantizer, plain), gradients(other, laid_out), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@every
def test_a_gradient_in_another_layout_than_its_input_counts_the_same(name, bits, role):
    x, upstream = values(6), values(7)
    found = []
    for g in (upstream, upstream.contiguous(memory_format=torch.channels_last)):
        quantizer = quant.make(name, bits, role)
        leaf = x.clone().requires_grad_()
        quantizer(leaf).backward(g)
        found.append([leaf.grad, *(p.grad for p in quantizer.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@every
def test_a_saved_quantizer_comes_back_without_setting_itself_up_again(name, bits, role):
    trained = quant.make(name, bits, role)
    trained(values(7))
    with torch.no_grad():
        for step in trained.parameters():
            step.mul_(1.7)
    loaded = quant.make(name, bits, role)
    loaded.load_state_dict(trained.state_dict())
    other = 10 * values(8)
    assert torch.equal(loaded(other), trained(other))
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), trained.parameters(), strict=True))


@every
def test_a_quantizer_saved_before_use_still_sets_itself_up(name, bits, role):
    fresh, loaded = quant.make(name, bits, role), quant.make(name, bits, role)
    loaded.load_state_dict(fresh.state_dict())
    assert torch.equal(loaded(values(7)), quant.make(name, bits, role)(values(7)))


@every
def test_a_deep_copy_computes_the_same_and_learns_alone(name, bits, role):
    original = quant.make(name, bits, role)
    before = original(values(7))
    twin = copy.deepcopy(original)
    other = 10 * values(8)
    assert torch.equal(twin(other), original(other))
    with torch.no_grad():
        for step in twin.parameters():
            step.mul_(3)
    assert torch.equal(original(values(7)), before)


@every
def test_meta_tensors_have_a_shape_and_leave_the_quantizer_to_be_set_up(name, bits, role):
    quantizer = quant.make(name, bits, role)
    twin = copy.deepcopy(quantizer).to("meta")
    y = twin(torch.empty(2, 3, 4, 4, device="meta"))
    assert y.shape == (2, 3, 4, 4)
    assert y.is_meta
    assert torch.equal(quantizer(values(7)), quant.make(name, bits, role)(values(7)))


@every
def test_double_precision_agrees_with_single_where_no_code_is_on_the_edge(name, bits, role):
    x = values(8, (6, 40))
    single, double = quant.make(name, bits, role), quant.make(name, bits, role).double()
    a, b = single(x), double(x.double())
    far = (a - b).abs() > 1e-4 * b.abs().max()  # a tie may fall either way
    assert far.float().mean() <= 0.01


@every
def test_the_quantizer_does_not_write_into_its_input(name, bits, role):
    x = values(8)
    quant.make(name, bits, role)(x)
    assert torch.equal(x, values(8))


@pytest.mark.parametrize("name", ["lsq", "dorefa"])
@pytest.mark.parametrize("bits", [0, 9, -1, True, "3", 2.5, None])
def test_widths_outside_one_to_eight_are_refused(name, bits):
    with pytest.raises(
        InputError, match=f"weight bits: got {re.escape(str(bits))}, wanted 1 to 8, or 16; choose"
    ):
        quant.make(name, bits, "weight")


@pytest.mark.parametrize("name", ["lsq", "dorefa"])
def test_thirty_two_bits_point_to_fp32(name):
    with pytest.raises(InputError, match="use --method fp32 for 32"):
        quant.make(name, 32, "activation")


@pytest.mark.parametrize("bits", [1, 8, True])
def test_fp32_has_no_other_width(bits):
    with pytest.raises(InputError, match=f"bits: got {bits}, wanted 32 with fp32"):
        quant.check_bits("fp32", bits, "bits")


def test_an_unknown_method_names_its_nearest_match():
    with pytest.raises(InputError, match=r"method: got 'lqs'.*did you mean 'lsq'\?"):
        quant.make("lqs")


def test_an_unknown_role_names_its_nearest_match():
    with pytest.raises(InputError, match=r"role: got 'weights'.*did you mean 'weight'\?"):
        quant.make("lsq", 3, "weights")
