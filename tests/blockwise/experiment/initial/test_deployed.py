"""Batch norms as constants compute what the norms did."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from blockwise.experiment.initial.sources import read
from blockwise.experiment.initial.taking import take
from blockwise.experiment.initial.weights import KEPT, Weights, kept
from blockwise.models import build


@pytest.mark.parametrize("norm", ["batch", "frozen", "none"])
def test_so_it_does_of_a_file_that_lists_names_by_the_alphabet(norm, tmp_path):
    """Both norms of a unit then stand behind both convolutions, whose shapes are the same."""
    trained = statistics_drawn(build("resnet20", (1, 8, 8), 5, 4))
    tensors = {name: t.clone() for name, t in trained.units.state_dict().items()}
    save_file(tensors, tmp_path / "w.safetensors")
    source = read(str(tmp_path / "w.safetensors"))
    assert [*source.tensors] != [*tensors] and not source.in_order
    source.keep(tmp_path / KEPT)  # as a run does that goes on from there
    x = torch.randn(4, 1, 8, 8)
    for weights in (source, kept(tmp_path / KEPT)):
        deployed = build("resnet20", (1, 8, 8), 5, 4, norm)
        take(weights, deployed)
        torch.testing.assert_close(deployed.eval()(x), trained.eval()(x), rtol=1e-4, atol=1e-4)


def test_what_is_kept_stands_in_the_order_in_which_it_was_taken(tmp_path):
    tensors = {name: torch.full((2, 2), float(i)) for i, name in enumerate(("b", "c", "a"))}
    Weights("file", "", tensors).keep(tmp_path / KEPT)
    found = kept(tmp_path / KEPT)
    assert found.in_order and [*found.tensors] == ["b", "c", "a"]


def statistics_drawn(chain):
    for module in chain.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor.normal_()
            module.running_var.uniform_(0.5, 2)
    return chain


@pytest.mark.parametrize("norm", ["frozen", "none"])
@pytest.mark.parametrize(("model", "shape"), [("cnn", (1, 8, 8)), ("cnn1d", (3, 40)), ("mlp", (12,))])
def test_a_network_with_constants_gives_the_logits_of_the_trained_one(norm, model, shape):
    trained = statistics_drawn(build(model, shape, 5, 4))
    deployed = build(model, shape, 5, 4, norm)
    found = take(Weights("trained", "bp", trained.units.state_dict()), deployed)
    x = torch.randn(4, *shape)
    torch.testing.assert_close(deployed.eval()(x), trained.eval()(x), rtol=1e-4, atol=1e-4)
    assert (found.left, found.classifier, found.unused) == ((), "", ())
