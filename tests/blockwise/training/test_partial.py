"""Trainings of a part of a network: against the executor, and what they leave alone."""

import copy
from dataclasses import replace

import pytest
import torch
from one_step import OneStep
from small_cnn import OPTIONS
from tiers import shown

from blockwise import models, quant
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.net import IntegerNet
from blockwise.integer.partial import restrict_integers
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.nets.partial import restrict
from blockwise.quant import Quantizer
from blockwise.training import Run, make_regime
from blockwise.training.phase import Phase
from devices.network.partial import choice
from devices.program.regimes import REGIMES, Step

GOING_BACK = [name for name, regime in REGIMES.items() if not regime.perturbs]
TOLERANCE = 1e-5
"""Of the length of the update."""
SPECS = ("last:1", "head", "bias", "blocks:2", "*conv1", "stage1*,classifier")


def build(spec: str, regime: str, method: str = "lsq", head: str = "gap") -> BlockNet | IntegerNet:
    """A small network cut into layers, of which only a part is trained; every time the same."""
    torch.manual_seed(0)
    integers = regime.startswith("ni")
    chain = models.build("plain4" if integers else "cnn", (1, 8, 8), 10, 4)
    anatomy = Anatomy(chain, head)
    groups = anatomy.cut("layers", Step())
    network = choice(spec).of(anatomy.network(groups))
    if integers:
        return restrict_integers(IntegerNet(BlockNet(chain, groups, head), arithmetic_of(regime), 0), network)
    quant.quantize(chain, method)
    return restrict(BlockNet(chain, groups, head), chain, network)


@pytest.mark.slow
@pytest.mark.parametrize("regime", shown(GOING_BACK, "bp", "bp-best", "bp-micro", "local", "local-resident"))
def test_a_step_of_a_part_on_bytes_is_that_of_the_simulation(regime):
    for method, spec in (("lsq", "stage2*"), ("lsq", "bias"), ("fp32", "last:1"), ("pact", "blocks:2..3")):
        step = OneStep(regime, method=method, model="resnet8", blocks="stages", train=spec, frozen="flash")
        assert step.run() < TOLERANCE, (method, spec, step.worst())
        assert step.flips == 0


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["zo", "zo-hybrid"])
def test_so_it_is_of_a_part_that_goes_along_directions(regime):
    for method, spec, norm in (
        ("lsq", "bias", "batch"),
        ("lq-net", "last:2", "frozen"),
        ("fp32", "head", "group"),
    ):
        step = OneStep(regime, norm=norm, method=method, model="resnet8", blocks="stages", train=spec)
        assert step.run() < TOLERANCE, (method, spec, step.worst())
        assert step.flips == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "regime", shown(["bp", "bp-fused", "bp-micro", "local", "local-resident", "zo", "zo-hybrid"],
                    "bp", "local", "local-resident", "zo"),
)  # fmt: skip
def test_so_it_is_for_shares_of_channels(regime, tmp_path):
    path = tmp_path / "part.toml"
    path.write_text('biases = 4\n[weights]\n"*conv2" = 0.5\n"stage3*conv1" = {inputs = 0.3, outputs = 0.6}\n')
    for method, optimizer in (("lsq", "adam"), ("fp32", "sgd-momentum")):
        step = OneStep(regime, method=method, optimizer=optimizer, model="resnet8", train=f"sparse:{path}")
        assert step.run() < TOLERANCE, (method, step.worst())
        assert step.flips == 0


@pytest.mark.parametrize("spec", ["share", "*conv"])
def test_weights_that_go_along_directions_are_coded_before_frozen_activations(spec, tmp_path):
    """Without norms the activation's operation evaluates sums of products; weights are not at rest."""
    (path := tmp_path / "part.toml").write_text('[weights]\n"*conv" = {inputs = 0.6, outputs = 0.5}\n')
    spec = f"sparse:{path}" if spec == "share" else spec
    step = OneStep("zo", method="lsq", norm="none", train=spec)
    assert step.run() < TOLERANCE, step.worst()


@pytest.mark.slow
def test_biases_behind_frozen_weights_are_shifts_in_every_form(tmp_path):
    path = tmp_path / "part.json"
    path.write_text('{"biases": "all"}')
    for regime, norm in (
        ("bp", "batch"),
        ("local-resident", "batch"),
        ("bp-best", "none"),
        ("local", "group"),
    ):
        step = OneStep(regime, method="lsq", norm=norm, model="resnet8", train=f"sparse:{path}")
        assert step.run() < TOLERANCE, (regime, step.worst())


@pytest.mark.slow
def test_channels_that_are_not_trained_keep_their_bits_under_weight_decay(digits, tmp_path):
    path = tmp_path / "part.toml"
    path.write_text('[weights]\n"conv3*" = {inputs = 0.5, outputs = 0.25}\n')
    for regime in ("bp", "bp-fused", "local-resident", "zo"):
        net = build(f"sparse:{path}", regime)
        before = net.state_dict()["bodies.2.0.conv.weight"].clone()
        options = replace(OPTIONS, epochs=1, weight_decay=0.1, fused=regime == "bp-fused")
        Run(net, digits, make_regime(regime, 1), options).train()
        moved = net.state_dict()["bodies.2.0.conv.weight"] != before
        outputs, inputs = (n // 4 if side == 0 else n // 2 for side, n in enumerate(before.shape[:2]))
        assert moved[:outputs, :inputs].all()
        assert not moved[outputs:].any()
        assert not moved[:, inputs:].any()


@pytest.mark.slow
@pytest.mark.parametrize("spec", shown(SPECS, "bias"))
@pytest.mark.parametrize("norm", shown(("batch", "batch-recompute", "group", "frozen", "none"), "group"))
def test_so_it_is_for_every_norm_and_part(norm, spec):
    for regime, method in (("bp", "lq-net"), ("local-resident", "lsq"), ("bp-best", "dorefa")):
        step = OneStep(regime, norm=norm, method=method, model="resnet8", blocks="stages", train=spec)
        assert step.run() < TOLERANCE, (regime, method, step.worst())


@pytest.mark.slow
@pytest.mark.parametrize(
    "regime", ["bp", "bp-fused", "bp-checkpoint", "bp-micro", "local", "local-resident", "niti", "niti-local"]
)
def test_what_is_frozen_ends_with_the_bits_that_it_began_with(digits, regime):
    """Under weight decay and momentum, statistics of the batch and trained steps."""
    spec = "last:2" if regime.startswith("ni") else "conv2.*,classifier"
    net = build(spec, regime)
    options = replace(OPTIONS, epochs=1, weight_decay=0.1, fused=regime == "bp-fused")
    run = Run(net, digits, make_regime(regime, 8), options)
    first: dict[str, torch.Tensor] = {}

    prepare = run._prepare

    def noting(phase: Phase, cache: object) -> None:
        """What a phase begins with: quantizers have chosen their constants, and no step is made."""
        prepare(phase, cache)
        parts = tuple(f"{kind}.{i}." for i in phase.blocks for kind in ("bodies", "tails", "heads"))
        for name, value in run.net.state_dict().items():
            if name.startswith(parts) or name not in first:
                first[name] = value.clone()

    run._prepare = noting
    run.train()
    after = run.net.state_dict()
    changed = {
        name.rpartition(".")[0] for name, value in after.items() if not torch.equal(value, first[name])
    }
    blocks = {name.split(".")[1] for name in changed if name.startswith("bodies.")}
    assert blocks == ({"2", "3"} if regime.startswith("ni") else {"1", "2"})
    heads = {name.split(".")[1] for name in changed if name.startswith("heads.")}
    assert heads <= blocks
    if not regime.startswith("ni"):
        last = [name for name in changed if name.startswith("bodies.2.")]
        assert all("linear" in name for name in last), last


def test_the_forms_of_backpropagation_end_with_the_same_bits(digits):
    ends = []
    for regime in ("bp", "bp-fused", "bp-checkpoint"):
        options = replace(OPTIONS, epochs=1, fused=regime == "bp-fused")
        run = Run(build("last:2", regime), digits, make_regime(regime, 1), options)
        run.train()
        ends.append({n: v.clone() for n, v in run.net.state_dict().items() if n.startswith("bodies.")})
    assert all(torch.equal(ends[0][name], end[name]) for end in ends[1:] for name in end)


def test_a_norm_that_is_not_trained_goes_by_its_running_statistics(digits):
    net = build("head", "bp")
    run = Run(net, digits, make_regime("bp", 1), OPTIONS)
    run._freeze(run.phases[0])
    run._mode(run.phases[0])
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert [n for n, p in net.named_parameters() if p.requires_grad and not n.startswith("heads.")] == [
        n for n, _ in net.named_parameters() if "linear" in n and n.startswith("bodies.")
    ]


def test_backward_of_the_simulation_stops_where_nothing_before_is_trained(digits):
    net = build("last:1", "bp", method="fp32")
    assert isinstance(net, BlockNet)
    run = Run(net, digits, make_regime("bp", 1), OPTIONS)
    (phase,) = run.phases
    assert (phase.first, phase.last) == (len(net) - 1, len(net))
    run._freeze(phase)
    run._mode(phase)
    x = net.run(torch.rand(4, 1, 8, 8), 0, phase.first)
    assert not x.requires_grad
    twin = copy.deepcopy(net)
    assert twin.part == net.part


@pytest.mark.parametrize("regime", ["local", "local-resident"])
def test_levels_of_blocks_behind_are_chosen_by_training_images(digits, regime, monkeypatch):
    """The whole network is validated where a part is trained: no image of that may set a level."""
    net = build("blocks:1", regime)
    seen: list[bool] = []
    monkeypatch.setattr(Quantizer, "set_up", _noting(Quantizer.set_up, net, seen))
    Run(net, digits, make_regime(regime, 1), replace(OPTIONS, epochs=1)).train()
    assert len(seen) > 3 and all(seen)


def _noting(set_up, net, seen):
    """Whether the first block is in training: it is at rest whenever a split is judged."""

    def noting(self, x):
        seen.append(any(module.training for module in net.bodies[0].modules()))
        set_up(self, x)

    return noting
