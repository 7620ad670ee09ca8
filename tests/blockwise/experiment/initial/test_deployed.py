"""Batch norms as constants compute what the norms did."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import blockwise
from blockwise.experiment.export import export
from blockwise.experiment.initial.sources import read
from blockwise.experiment.initial.taking import take
from blockwise.experiment.initial.weights import KEPT, Weights, kept
from blockwise.layers.norm_constants import epsilons
from blockwise.models import build, from_module, replica
from blockwise.models.style import PLAIN
from devices.errors import InputError


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


@pytest.mark.parametrize("norm", ["frozen", "none"])
def test_norms_add_to_variances_what_theirs_add_where_that_is_known_else_what_the_networks_own_would(norm):
    def module(eps: float) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, eps=eps), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4, 5),
        )  # fmt: skip

    def started(eps: float, weights: Weights) -> torch.Tensor:
        deployed = replica(from_module(module(eps), (1, 8, 8)), norm, PLAIN, None)
        take(weights, deployed)
        return deployed.eval()(x)

    trained, x = module(1e-2), torch.randn(4, 1, 8, 8)
    trained[1].running_var.uniform_(0.001, 0.01)
    trained[1].running_mean.normal_()
    wanted = trained.eval()(x)
    chain = from_module(trained, (1, 8, 8))
    told = Weights("a run", "bp", chain.units.state_dict(), eps=epsilons(chain.units))
    torch.testing.assert_close(started(1e-5, told), wanted, rtol=1e-5, atol=1e-5)
    file = Weights("a file", "", trained.state_dict())
    torch.testing.assert_close(started(1e-2, file), wanted, rtol=1e-5, atol=1e-5)
    other = started(1e-5, file)  # the usual, of which the file does not say that it was another
    trained[1].eps = 1e-5
    torch.testing.assert_close(other, trained(x), rtol=1e-5, atol=1e-5)


def test_what_norms_add_is_kept_with_the_weights(tmp_path):
    Weights("run", "bp", {"a": torch.ones(2, 2)}, eps={"conv.norm": 1e-3}).keep(tmp_path / KEPT)
    assert kept(tmp_path / KEPT).eps == {"conv.norm": 1e-3}


@pytest.mark.slow
def test_runs_and_exported_files_tell_it(tmp_path):
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )
    blockwise.train(module, regimes=("bp",), method="fp32", epochs=1, batch_size=256, out=tmp_path / "run")
    export(tmp_path / "run", "bp", tmp_path / "bp.safetensors")
    for source in ("run", "bp.safetensors"):
        (eps,) = read(str(tmp_path / source)).eps.values()
        assert eps == 1e-3


@pytest.mark.parametrize("norm", ["frozen", "none"])
@pytest.mark.parametrize("before", ["module.", "model.units."])
def test_whatever_a_program_has_put_before_names_norms_are_found(norm, before):
    trained = statistics_drawn(build("cnn", (1, 8, 8), 5, 4))
    deployed = build("cnn", (1, 8, 8), 5, 4, norm)
    state = {f"{before}{name}": tensor for name, tensor in trained.units.state_dict().items()}
    found = take(Weights("trained", "", state), deployed)
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(deployed.eval()(x), trained.eval()(x), rtol=1e-4, atol=1e-4)
    assert (found.left, found.unused) == ((), ())


@pytest.mark.parametrize("in_order", [True, False])
def test_weights_of_a_network_that_has_heads_of_its_own_come_back_from_its_run(tmp_path, in_order):
    given = Weights(
        "w.pt", "", {"stem.weight": torch.ones(2, 2), "heads.1.weight": torch.zeros(3, 2)},
        {"0.linear.weight": torch.ones(1)}, in_order=in_order,
    )  # fmt: skip
    given.keep(tmp_path / KEPT)
    found = kept(tmp_path / KEPT)
    assert {*found.tensors} == {*given.tensors} and [*found.heads] == ["0.linear.weight"]
    assert found.digest == given.digest


def test_heads_that_an_earlier_version_kept_are_read(tmp_path):
    facts = {name: '""' for name in ("source", "regime", "quantizers", "blocks")}
    tensors = {"stem.weight": torch.ones(2), "heads.0.linear.weight": torch.ones(1)}
    save_file(tensors, tmp_path / KEPT, metadata=facts | {"order": '["stem.weight"]'})
    found = kept(tmp_path / KEPT)
    assert ([*found.tensors], [*found.heads]) == (["stem.weight"], ["0.linear.weight"])


def test_a_trained_norm_that_no_layer_takes_in_is_refused_without_norms():
    """As of a module of one's own: it would begin as if it were not there."""
    chain = replica(from_module(First(), (1, 8, 8)), "none", PLAIN, None)
    take(Weights("new.pt", "", First().state_dict()), chain)  # was never trained: it does nothing
    other = First()
    other.norm.running_mean.fill_(0.3)
    with pytest.raises(InputError, match="wanted --norm frozen"):
        take(Weights("w.pt", "", other.state_dict()), chain)


class First(nn.Module):
    """A norm of the images, before any layer with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.fc = nn.BatchNorm2d(1), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(x).flatten(1))
