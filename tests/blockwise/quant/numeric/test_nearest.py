"""The branchless search against all distances, one by one."""

import pytest
import torch

from blockwise.quant.numeric.nearest import lookup, nearest, rows, unrows


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_level_found_is_the_nearest_of_all(bits, groups, dtype):
    generator = torch.Generator().manual_seed(bits)
    levels = torch.randn(groups, 2**bits, generator=generator, dtype=dtype).sort(dim=1).values
    x = 2 * torch.randn(groups, 200, generator=generator, dtype=dtype)
    index = nearest(x, levels)
    assert index.dtype == torch.int32
    assert torch.equal(index // 2**bits, torch.arange(groups)[:, None].expand_as(index))
    found, best = lookup(levels.view(-1), index), (x[..., None] - levels[:, None]).abs().amin(dim=2)
    torch.testing.assert_close((x - found).abs(), best)


@pytest.mark.parametrize("bits", range(1, 9))
def test_it_is_torchs_bucketize_to_the_bit_ties_included(bits):
    levels = torch.arange(2.0**bits)[None]
    x = torch.arange(-1, 2**bits + 1, 0.25)[None]
    expected = torch.bucketize(x, (levels[0, 1:] + levels[0, :-1]) / 2)
    assert torch.equal(nearest(x, levels).long(), expected)


def test_of_equal_levels_any_will_do():
    x, levels = torch.tensor([[-1.0, 0.4, 0.6, 3.0]]), torch.tensor([[0.0, 1.0, 1.0, 1.0]])
    assert lookup(levels.view(-1), nearest(x, levels)).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (4, 6), (7,), ()])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_rows_come_back_in_shape_and_layout(shape, layout):
    x = torch.randn(shape)
    x = x.contiguous(memory_format=layout) if x.ndim == 4 else x
    for groups in {1, shape[0] if shape else 1}:
        found = rows(x, groups)
        assert found.shape == (groups, x.numel() // groups)
        assert torch.equal(unrows(found, x), x)
        assert unrows(found, x).stride() == x.stride()
        assert torch.equal(found.sort(dim=1).values, x.reshape(groups, -1).sort(dim=1).values)
