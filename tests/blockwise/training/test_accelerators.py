"""An accelerator in training: it holds all tensors, and no step waits for the value of one.

Where none is at hand, PyTorch's fake tensors take its place in a forward pass: operations on tensors of
different devices are refused, and so is a look at a value. Backward passes are watched on a processor.
"""

from collections import Counter

import pytest
import torch
from small_cnn import build
from tiers import quick
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from blockwise import quant
from blockwise.quant import ParameterRules
from blockwise.quant.numeric.nearest import _spread_tally, tally
from blockwise.quant.numeric.noise import Noisy
from blockwise.training import REGIMES
from blockwise.training.updater import Updater

WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::masked_select"}
"""What has the host know a value, or a shape that depends on one."""

FAKEABLE = [e.name for e in quant.METHODS.values() if not issubclass(e.weight or object, Noisy)]
"""There is no fake generator of random numbers."""


class Waits(TorchDispatchMode):
    """Counts the operations that an accelerator would be waited for."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name() in WAITING:
            self.seen[func.name()] += 1
        return func(*args, **(kwargs or {}))


def updater_of(net):
    return Updater(net.parameters(), "sgd-momentum", fused=False, rules=ParameterRules.of(net), peak=0.1)


def moved(net, device):
    """``net.to(device)``, which cannot exchange parameters for fake ones."""
    for module in net.modules():
        for tensors, made in (
            (module._parameters, torch.nn.Parameter),
            (module._buffers, torch.Tensor.clone),
        ):
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = made(tensor.detach().clone().to(device))
    return net


@pytest.mark.parametrize(("regime", "head"), [("bp", "gap"), ("local", "lookahead:8")])
@pytest.mark.parametrize("method", quick(quant.METHODS, "fp32", "lsq", "apot", "pq"))
def test_no_step_looks_at_a_value(method, regime, head):
    net, procedure = build(method, head).train(), REGIMES[regime]
    (phase,), updater = procedure.phases(net), updater_of(net)
    x, y = torch.rand(8, 1, 8, 8), torch.randint(10, (8,))
    for _ in range(2):  # in the first, levels are chosen
        with Waits() as waits:
            updater.set_progress(1, 2)
            procedure.step(net, phase, x, y)
            updater.finish_step()
    assert not waits.seen


@pytest.mark.parametrize("method", FAKEABLE)
def test_all_tensors_of_a_method_are_on_the_accelerator(method):
    net = build(method, "predsim").train()
    with torch.no_grad():
        net(torch.rand(8, 1, 8, 8))
    with FakeTensorMode(allow_non_fake_inputs=True):
        moved(net, "cuda")
        x, y = torch.rand(8, 1, 8, 8, device="cuda"), torch.zeros(8, dtype=torch.int64, device="cuda")
        for mode in (True, False):
            h = x
            for index in range(len(net.train(mode))):
                out = net.bodies[index](h)
                assert net.heads[index](out, y).device.type == "cuda"
                h = net.tails[index](out)
        updater = updater_of(net)
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        updater.finish_step()
        assert all(t.device.type == "cuda" for t in updater.tensors())


@pytest.mark.parametrize("weighted", [False, True])
def test_a_tally_on_an_accelerator_is_that_of_a_processor(weighted):
    index = torch.randint(12, (5000,), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    weights = torch.linspace(-1, 1, 5000, dtype=torch.float64) if weighted else None
    expected = torch.stack(
        [(index == i).double().mul(1 if weights is None else weights).sum() for i in range(13)]
    )
    torch.testing.assert_close(_spread_tally(index, 13, weights), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(tally(index, 13, weights), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["lsq", "apot", "bnn"])
def test_parameters_that_are_treated_alike_are_stepped_together_with_the_same_bits(method):
    """Held against a step for each parameter by itself, as fused updates make it."""
    together, apart = build(method).train(), build(method).train()
    rules = ParameterRules.of(apart)
    one = updater_of(together)
    each = Updater(apart.parameters(), "sgd-momentum", fused=True, rules=rules, peak=0.1)
    assert len(one.optimizers[0].param_groups) <= 5 < len(each.optimizers)
    for seed in range(3):
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
        for net, updater in ((together, one), (apart, each)):
            updater.set_progress(seed, 4)
            net.heads[-1](net(x), torch.arange(8)).backward()
            updater.finish_step()
    for ours, theirs in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.equal(ours, theirs)
