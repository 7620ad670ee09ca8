"""Batch norms as constants compute what the norms did."""

import pytest
import torch
from torch import nn

from blockwise.experiment.initial.taking import take
from blockwise.experiment.initial.weights import Weights
from blockwise.models import build


@pytest.mark.parametrize("norm", ["frozen", "none"])
@pytest.mark.parametrize(("model", "shape"), [("cnn", (1, 8, 8)), ("cnn1d", (3, 40)), ("mlp", (12,))])
def test_a_network_with_constants_gives_the_logits_of_the_trained_one(norm, model, shape):
    trained = build(model, shape, 5, 4)
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                assert tensor is not None
                tensor.normal_()
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 2)
    deployed = build(model, shape, 5, 4, norm)
    found = take(Weights("trained", "bp", trained.units.state_dict()), deployed)
    x = torch.randn(4, *shape)
    torch.testing.assert_close(deployed.eval()(x), trained.eval()(x), rtol=1e-4, atol=1e-4)
    assert (found.left, found.classifier, found.unused) == ((), "", ())
