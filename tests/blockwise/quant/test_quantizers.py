"""What every quantizer of the catalogue promises, whatever its method, width and role."""

import copy
import itertools
import math
import re

import pytest
import torch

from blockwise import quant
from devices.errors import InputError

CASES = [
    pytest.param(entry.name, bits, role, id=f"{entry.name}-{bits}-{role}")
    for entry in quant.METHODS.values()
    for role in ("weight", "activation")
    if entry.quantizer(role) is not None
    for bits in entry.bits(role)
    if bits != 16
]
QUANTIZING = [case for case in CASES if case.values[0] != "fp32"]


def new(name: str, bits: int, role: quant.Role, x: torch.Tensor) -> quant.Quantizer:
    """A fresh quantizer for tensors like ``x``, as it is deployed: no noise."""
    return quant.make(name, bits, role, tuple(x.shape) if role == "weight" else ()).eval()


def kind(name: str, role: quant.Role) -> type[quant.Quantizer]:
    return quant.method(name).quantizer(role)


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
@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (7, 20), (5,), (1, 1), (2, 1, 1, 1), (0, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_type_stay(name, bits, role, shape, dtype):
    x = values(0, shape).to(dtype)
    y = new(name, bits, role, x).to(dtype)(x)
    assert y.shape == shape
    assert y.dtype == dtype
    assert y.isfinite().all()


@every_quantizing
def test_there_are_at_most_two_to_the_bits_values(name, bits, role):
    x = 3 * values(1, (50, 100))
    y = new(name, bits, role, x)(x).detach()
    if kind(name, role).elementwise:
        assert 2 <= y.unique().numel() <= 2**bits
    elif kind(name, role).memory(bits).blocks:
        assert 2 <= y.view(-1, quant.code_block(tuple(x.shape))).unique(dim=0).shape[0] <= 2**bits
    else:
        assert all(2 <= channel.unique().numel() <= 2**bits for channel in y)


@every_quantizing
def test_levels_are_symmetric_where_claimed(name, bits, role):
    if not kind(name, role).symmetric:
        pytest.skip("not claimed")
    x = values(1, (50, 100))
    x = torch.cat([x, -x])
    levels = new(name, bits, role, x)(x).unique()
    torch.testing.assert_close(levels.sort().values, (-levels).sort().values)


def test_fp32_is_the_identity():
    x = values()
    assert quant.make("fp32", 32, "activation")(x) is x


@every_quantizing
def test_equal_codes_mean_equal_values_and_larger_codes_larger_ones(name, bits, role):
    """A table of at most 2^b entries decodes the whole tensor."""
    if not kind(name, role).elementwise:
        pytest.skip("levels differ by channel or block")
    x = 2 * values(2, (40, 100))
    quantizer = new(name, bits, role, x)
    y, codes = quantizer(x).detach().flatten(), quantizer.codes(x).flatten()
    table = {int(code): float(value) for code, value in zip(codes, y, strict=True)}
    assert [table[int(code)] for code in codes] == y.tolist()
    ordered = [table[code] for code in sorted(table)]
    assert all(a < b for a, b in itertools.pairwise(ordered))
    assert codes.dtype == torch.int64
    assert codes.min() >= 0
    assert codes.max() < 2**bits


@every
@pytest.mark.parametrize("shape", [(4, 6, 3, 3), (7, 20), (8, 4, 1, 1), (5, 3, 3, 3)])
def test_packed_weights_come_back_to_the_bit_and_take_what_the_ledger_counts(name, bits, role, shape):
    if role == "activation":
        pytest.skip("only weights are stored")
    x = values(3, shape)
    quantizer = new(name, bits, role, x)
    expected = quantizer(x).detach()
    packed = quant.pack(quantizer, x)
    assert torch.equal(quant.unpack(type(quantizer), packed), expected)
    memory = quantizer.memory(bits)
    block = math.prod(shape[2:]) if math.prod(shape[2:]) > 1 else 4 if math.prod(shape[1:]) % 4 == 0 else 1
    codes = x.numel() // (block if memory.blocks else 1)
    numbers = memory.packed * (shape[0] if memory.per_channel else 1) * (block if memory.blocks else 1)
    assert packed.stored_bytes == -(-codes * bits // 8) + 4 * numbers


@every
def test_quantized_values_stay_where_they_are_where_claimed(name, bits, role):
    x = values(4)
    quantizer = new(name, bits, role, x)
    once = quantizer(x)
    twice = quantizer(once)
    if kind(name, role).idempotent:
        torch.testing.assert_close(twice, once)
    elif kind(name, role).elementwise:
        assert twice.unique().numel() <= 2**bits


@every
def test_larger_inputs_never_give_smaller_outputs(name, bits, role):
    if not kind(name, role).elementwise:
        pytest.skip("levels differ by channel or block")
    x = torch.linspace(-3, 3, 501)[None]
    assert (new(name, bits, role, x)(x).diff() >= 0).all()


@every
@pytest.mark.parametrize("constant", [0.0, 0.3, -2.0, 1e-30, 1e4, 1e30])
def test_constant_tensors_give_finite_values_and_gradients(name, bits, role, constant):
    x = torch.full((3, 4, 2), constant)
    quantizer = new(name, bits, role, x)
    assert quantizer(x).isfinite().all()
    assert quantizer(x).unique().numel() == 1
    assert all(g.isfinite().all() for g in gradients(quantizer, x))


EXTREMES = {
    "zeros": lambda: torch.zeros(4, 6, 5, 3),
    "constant": lambda: torch.full((4, 6, 5, 3), -0.3),
    "huge": lambda: 1e30 * values(5),
    "tiny": lambda: 1e-30 * values(5),
    "one outlier": lambda: torch.cat([1e-3 * values(5), torch.full((1, 6, 5, 3), 1e4)]),
    "both scales": lambda: torch.cat([1e-20 * values(5), 1e20 * values(6)]),
    "zeros between": lambda: values(5) * (values(6) > 0),
}


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("extreme", EXTREMES)
def test_extreme_tensors_give_finite_values_of_few_levels_and_finite_gradients(
    name, bits, role, extreme, dtype
):
    x = EXTREMES[extreme]().to(dtype)
    quantizer = new(name, bits, role, x).to(dtype)
    y = quantizer(x).detach()
    assert y.isfinite().all()
    if kind(name, role).elementwise and name != "fp32":
        assert y.unique().numel() <= 2**bits
    assert all(g.isfinite().all() for g in gradients(quantizer, x))


@every
@pytest.mark.parametrize("extreme", EXTREMES)
def test_extreme_weights_are_packed_to_the_bit_too(name, bits, role, extreme):
    if role == "activation":
        pytest.skip("only weights are stored")
    x = EXTREMES[extreme]()
    quantizer = new(name, bits, role, x)
    expected = quantizer(x).detach()
    assert torch.equal(quant.unpack(type(quantizer), quant.pack(quantizer, x)), expected)


@every_quantizing
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_beyond_the_ends_take_the_end_and_get_no_gradient(name, bits, role, dtype):
    if role == "weight":
        pytest.skip("ends of weights may follow the largest")
    x = values(1, (50, 100)).to(dtype)
    quantizer = new(name, bits, role, x).to(dtype)
    quantizer(x)
    reach = 1e3 * torch.ones(1, 2, dtype=dtype)
    low, high = quantizer(torch.cat([-reach, reach])).detach().unique().tolist()
    ends = torch.tensor([[low, high, 0.0, -0.0, -1e4, 1e4]], dtype=dtype)
    y = quantizer(ends).detach()
    assert y[0, -2:].tolist() == [low, high]
    assert y[0, 2] == y[0, 3]
    assert (y >= low).all()
    assert (y <= high).all()
    if kind(name, role).idempotent:
        assert y[0, :2].tolist() == [low, high]
    assert gradients(quantizer, ends)[0][0, -2:].tolist() == [0, 0]


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_empty_tensor_stays_empty_and_sets_nothing_up(name, bits, role, dtype):
    x = torch.empty(0, 4, dtype=dtype)
    quantizer = new(name, bits, role, values(7)).to(dtype)
    leaf = x.clone().requires_grad_()
    y = quantizer(leaf)
    y.sum().backward()
    assert y.shape == leaf.grad.shape == x.shape
    fresh = new(name, bits, role, values(7)).to(dtype)
    assert torch.equal(quantizer(values(7).to(dtype)), fresh(values(7).to(dtype)))


@every
def test_gradients_are_finite_and_of_the_inputs_shape(name, bits, role):
    x = values(5)
    first, *others = gradients(new(name, bits, role, x), x)
    assert first.shape == x.shape
    assert all(g.isfinite().all() for g in (first, *others))


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", ["transposed", "strided", "channels_last", "offset", "expanded"])
def test_the_layout_in_memory_changes_nothing(name, bits, role, layout, dtype):
    plain = values(6, (4, 6, 5, 3)).to(dtype)
    if layout == "expanded":
        plain = plain[:1].repeat(4, 1, 1, 1)
    laid_out = {
        "transposed": lambda: plain.transpose(1, 3).contiguous().transpose(1, 3),
        "strided": lambda: torch.stack([plain, plain], dim=-1)[..., 0],
        "channels_last": lambda: plain.contiguous(memory_format=torch.channels_last),
        "offset": lambda: torch.cat([torch.ones(1, 6, 5, 3, dtype=dtype), plain])[1:],
        "expanded": lambda: plain[:1].expand(4, 6, 5, 3),
    }[layout]()
    assert torch.equal(laid_out, plain)
    quantizer, other = (new(name, bits, role, plain).to(dtype) for _ in range(2))
    torch.testing.assert_close(quantizer(plain), other(laid_out))
    near = {"rtol": 1e-5, "atol": 1e-5} if dtype is torch.float32 else {"rtol": 0.05, "atol": 0.05}
    for a, b in zip(gradients(quantizer, plain), gradients(other, laid_out), strict=True):
        torch.testing.assert_close(a, b, **near)


LAYOUTS = (torch.contiguous_format, torch.channels_last)


class _Witness(torch.autograd.Function):
    """The layer before, which sees the gradient as it comes: a leaf lays its own out by itself."""

    @staticmethod
    def forward(ctx, x):
        ctx.stride = x.stride()
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        assert g.stride() == ctx.stride
        return g


@every_quantizing
@pytest.mark.parametrize(("own", "other"), [LAYOUTS, LAYOUTS[::-1]])
@pytest.mark.parametrize("training", [False, True])
def test_a_gradient_in_another_layout_than_its_input_goes_on_in_the_inputs_with_the_same_bits(
    name, bits, role, own, other, training
):
    start, upstream = values(6).contiguous(memory_format=own), values(7)
    twins = [new(name, bits, role, start).train(training)]
    twins.append(copy.deepcopy(twins[0]))
    found = []
    for quantizer, layout in zip(twins, (own, other), strict=True):
        leaf = start.clone(memory_format=torch.preserve_format).requires_grad_()
        y = quantizer(leaf if role == "weight" else _Witness.apply(leaf))
        y.backward(upstream.contiguous(memory_format=layout))
        found.append([leaf.grad, *(p.grad for p in quantizer.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@every
def test_a_saved_quantizer_comes_back_without_setting_itself_up_again(name, bits, role):
    trained = new(name, bits, role, values(7))
    trained(values(7))
    with torch.no_grad():
        for step in trained.parameters():
            step.mul_(1.7)
    loaded = new(name, bits, role, values(7))
    loaded.load_state_dict(trained.state_dict())
    other = 10 * values(8)
    assert torch.equal(loaded(other), trained(other))
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), trained.parameters(), strict=True))


@every
def test_a_quantizer_saved_before_use_still_sets_itself_up(name, bits, role):
    x = values(7)
    fresh, loaded = new(name, bits, role, x), new(name, bits, role, x)
    loaded.load_state_dict(fresh.state_dict())
    assert torch.equal(loaded(x), new(name, bits, role, x)(x))


@every
def test_a_deep_copy_computes_the_same_and_learns_alone(name, bits, role):
    original = new(name, bits, role, values(7))
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
    x = values(7)
    quantizer = new(name, bits, role, x)
    twin = copy.deepcopy(quantizer).to("meta")
    y = twin(torch.empty(x.shape, device="meta"))
    assert y.shape == x.shape
    assert y.is_meta
    assert torch.equal(quantizer(x), new(name, bits, role, x)(x))


@every
def test_double_precision_agrees_with_single_where_no_code_is_on_the_edge(name, bits, role):
    x = values(8, (6, 40))
    single, double = new(name, bits, role, x), new(name, bits, role, x).double()
    a, b = single(x), double(x.double())
    far = (a - b).abs() > 1e-4 * b.abs().max()  # a tie may fall either way
    assert far.float().mean() <= 0.01


@every
def test_the_quantizer_does_not_write_into_its_input(name, bits, role):
    x = values(8)
    new(name, bits, role, x)(x)
    assert torch.equal(x, values(8))


@pytest.mark.parametrize("name", ["lsq", "dorefa"])
@pytest.mark.parametrize("bits", [0, 9, -1, True, "3", 2.5, None])
def test_widths_outside_one_to_eight_are_refused(name, bits):
    with pytest.raises(
        InputError, match=f"weight bits: got {re.escape(str(bits))}, wanted 1 to 8 or 16 with {name}; choose"
    ):
        quant.make(name, bits, "weight")


@every_quantizing
def test_widths_that_a_method_does_not_have_are_refused(name, bits, role):
    others = set(range(1, 9)) - set(quant.method(name).bits(role))
    for other in others:
        with pytest.raises(InputError, match=f"{role} bits: got {other}, wanted .* with {name}"):
            quant.make(name, other, role)


@pytest.mark.parametrize("entry", quant.METHODS.values(), ids=quant.METHODS)
def test_what_a_method_lacks_is_taken_from_its_partner_and_refused_if_asked_for(entry):
    for role in ("weight", "activation"):
        if entry.quantizer(role) is None:
            with pytest.raises(InputError, match=f"--{role}-method: got {entry.name}, which quantizes"):
                quant.scheme("lsq", **{f"{role}_method": entry.name})
            with pytest.raises(InputError, match=f"--{role}-method: got {entry.name}"):
                quant.make(entry.name, 3, role)
            assert getattr(quant.scheme(entry.name), role).name == entry.partner
        else:
            assert getattr(quant.scheme(entry.name), role) is entry


@pytest.mark.parametrize("entry", quant.METHODS.values(), ids=quant.METHODS)
def test_every_entry_says_where_it_comes_from_and_what_it_has(entry):
    assert entry.description
    assert entry.source
    assert entry.edge_bits in (1, 8, 32)
    assert entry.stages[0] == 0
    assert list(entry.stages) == sorted(set(entry.stages))


@pytest.mark.parametrize("name", ["lsq", "dorefa"])
def test_thirty_two_bits_point_to_fp32(name):
    with pytest.raises(InputError, match="use --method fp32 for 32"):
        quant.make(name, 32, "activation")


@pytest.mark.parametrize("bits", [1, 8, True])
def test_fp32_has_no_other_width(bits):
    with pytest.raises(InputError, match=f"bits: got {bits}, wanted 32 with fp32"):
        quant.make("fp32", bits)


def test_an_unknown_method_names_its_nearest_match():
    with pytest.raises(InputError, match=r"method: got 'lqs'.*did you mean 'lsq'\?"):
        quant.make("lqs")


def test_an_unknown_role_names_its_nearest_match():
    with pytest.raises(InputError, match=r"role: got 'weights'.*did you mean 'weight'\?"):
        quant.make("lsq", 3, "weights")
