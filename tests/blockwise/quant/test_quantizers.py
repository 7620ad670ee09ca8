"""What the values of every quantizer of the catalogue promise, whatever its method, width and role."""

import itertools

import torch
from inner import inner
from quantizer_cases import cases, every, every_quantizing, kind, new, over, values

from blockwise import quant

every_elementwise = over(cases(lambda kind: kind.elementwise, quantizing=False))
every_elementwise_quantizing = over(cases(lambda kind: kind.elementwise))
every_symmetric = over(cases(lambda kind: kind.symmetric))

SHAPES = [(4, 6, 5, 3), (7, 20), (5,), (1, 1), (2, 1, 1, 1), (0, 4)]
TYPES = [torch.float32, torch.float64, torch.bfloat16]


@every
def test_shape_and_type_stay(name, bits, role):
    for shape, dtype in itertools.product(SHAPES, TYPES):
        with inner(shape=shape, dtype=dtype):
            x = values(0, shape).to(dtype)
            y = new(name, bits, role, x).to(dtype)(x)
            assert y.shape == shape
            assert y.dtype == dtype
            assert y.isfinite().all()


@every
def test_a_training_that_has_lost_its_way_is_told_by_its_loss_and_no_quantizer_fails(name, bits, role):
    x = values(0, (7, 20))
    quantizer = new(name, bits, role, x)
    quantizer(x)
    lost = x.clone()
    lost[2, 3] = torch.nan
    for mode in (True, False):
        assert quantizer.train(mode)(lost).shape == x.shape


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


@every_symmetric
def test_levels_are_symmetric_where_claimed(name, bits, role):
    x = values(1, (50, 100))
    x = torch.cat([x, -x])
    levels = new(name, bits, role, x)(x).unique()
    torch.testing.assert_close(levels.sort().values, (-levels).sort().values)


def test_fp32_is_the_identity():
    x = values()
    assert quant.make("fp32", 32, "activation")(x) is x


@every_elementwise_quantizing
def test_equal_codes_mean_equal_values_and_larger_codes_larger_ones(name, bits, role):
    """A table of at most 2^b entries decodes the whole tensor."""
    x = 2 * values(2, (40, 100))
    quantizer = new(name, bits, role, x)
    y, codes = quantizer(x).detach().flatten(), quantizer.codes(x).flatten()
    table = dict(zip(codes.tolist(), y.tolist(), strict=True))
    assert [table[code] for code in codes.tolist()] == y.tolist()
    ordered = [table[code] for code in sorted(table)]
    assert all(a < b for a, b in itertools.pairwise(ordered))
    assert codes.dtype == torch.int64
    assert codes.min() >= 0
    assert codes.max() < 2**bits


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


@every_elementwise
def test_larger_inputs_never_give_smaller_outputs(name, bits, role):
    x = torch.linspace(-3, 3, 501)[None]
    assert (new(name, bits, role, x)(x).diff() >= 0).all()


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
