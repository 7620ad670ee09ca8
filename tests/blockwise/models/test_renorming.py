"""Other norms in a trained network of one's own compute what its batch norms did."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from blockwise.layers.norms import ConstantNorm
from blockwise.models import from_module, replica
from blockwise.models.style import PLAIN
from devices.errors import InputError

SHAPE = (2, 6, 6)


class Branches(nn.Module):
    """Two convolutions before their norms, which are registered before them and the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_b, self.norm_a = nn.BatchNorm2d(4, eps=1e-2), nn.BatchNorm2d(4, affine=False)
        self.b, self.a = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 1, bias=False)
        self.hidden, self.flat = nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8, eps=1e-3, momentum=0.5)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x), self.b(x)
        b = self.norm_b(b)
        x = torch.relu(self.norm_a(a) + b)
        found: Tensor = self.head(torch.relu(self.flat(self.hidden(x.mean((2, 3))))))
        return found


class NormFirst(nn.Module):
    """A norm behind an activation: no layer before it can take its constants."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.norm(torch.relu(self.conv(x))).mean((2, 3)))
        return found


class ReadTwice(nn.Module):
    """What the norm reads goes past it, too: the layer before cannot have its constants."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        found: Tensor = self.head(torch.relu(self.norm(y) + y).mean((2, 3)))
        return found


def trained(make: Callable[[], nn.Module]) -> nn.Module:
    """With statistics, scales and shifts, as if it had been trained; variances near what eps adds."""
    torch.manual_seed(0)
    module = make()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.01, 0.5)
            if norm.affine:
                nn.init.normal_(norm.weight)
                nn.init.normal_(norm.bias)
    return module.eval()


@pytest.mark.parametrize("norm", ["batch", "batch-recompute", "frozen", "none"])
def test_its_scores_are_those_of_the_module(norm):
    module, x = trained(Branches), torch.randn(8, *SHAPE)
    chain = from_module(module, SHAPE)
    before = [value.clone() for value in chain.state_dict().values()]
    other = replica(chain, norm, PLAIN, None).eval()
    torch.testing.assert_close(other(x), module(x), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(before, chain.state_dict().values(), strict=True))
    constants = [part for part in other.modules() if isinstance(part, ConstantNorm)]
    assert len(constants) == 3 * (norm == "frozen")
    if norm == "batch-recompute":  # and it trains on as the norms would
        batch = replica(chain, "batch", PLAIN, None).train()
        assert torch.equal(other.train()(x), batch(x))
        for a, b in zip(other.buffers(), batch.buffers(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("make", [NormFirst, ReadTwice])
def test_a_trained_norm_that_can_go_into_no_layer_is_refused_but_as_constants(make):
    module, x = trained(make), torch.randn(8, *SHAPE)
    chain = from_module(module, SHAPE)
    torch.testing.assert_close(
        replica(chain, "frozen", PLAIN, None).eval()(x), module(x), rtol=1e-5, atol=1e-5
    )
    with pytest.raises(InputError, match=r"--norm none: got .*norm, a trained norm .* choose --norm frozen"):
        replica(chain, "none", PLAIN, None)
    fresh = replica(from_module(make(), SHAPE), "none", PLAIN, None)  # whose norms have learnt nothing
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fresh.modules())


class NoStatistics(nn.Module):
    """A norm that knows each batch alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 4, 3), nn.Linear(4, 3)
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))
        return found


@pytest.mark.parametrize("norm", ["frozen", "none"])
@pytest.mark.parametrize("factor", ["weight", "bias"])
def test_factors_that_were_trained_without_running_statistics_are_not_lost(norm, factor):
    module = NoStatistics()
    replica(from_module(module, SHAPE), norm, PLAIN, None)  # it has learnt nothing
    with torch.no_grad():
        getattr(module.norm, factor)[1] = 0.5
    chain = from_module(module, SHAPE)
    with pytest.raises(InputError, match=rf"--norm {norm}: got conv.norm, a trained norm without running"):
        replica(chain, norm, PLAIN, None)
    kept = replica(chain, "batch", PLAIN, None).train()
    x = torch.randn(8, *SHAPE)
    torch.testing.assert_close(kept(x), module(x), rtol=1e-5, atol=1e-5)


def test_norms_that_have_learnt_nothing_become_constants_on_the_first_images():
    frozen = replica(from_module(Branches(), SHAPE), "frozen", PLAIN, None)
    assert not any(part.ready for part in frozen.modules() if isinstance(part, ConstantNorm))


def test_group_norms_take_scales_and_shifts():
    module = trained(Branches)
    grouped = replica(from_module(module, SHAPE), "group", PLAIN, None)
    norms = [part for part in grouped.modules() if isinstance(part, nn.GroupNorm)]
    assert any(torch.equal(part.weight, module.norm_b.weight) for part in norms)  # type: ignore[arg-type]
