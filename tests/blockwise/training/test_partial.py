"""Trainings of a part of a network: against the executor, and what they leave alone."""

import copy
from collections import Counter
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
from blockwise.quant.stages import Stages
from blockwise.training import Run, make_regime
from blockwise.training.phase import Phase
from blockwise.training.start import IMAGES
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
@pytest.mark.parametrize("residual", ["codes", "float"])
def test_a_soft_gradient_is_scaled_where_its_quantizer_is_not_trained_as_well(residual):
    """That of DSQ hangs on where in its cell a value lies, which a mask does not tell."""
    step = OneStep("bp", method="dsq", model="resnet8", train="bias", residual=residual)
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


def test_epochs_of_a_block_are_judged_by_what_is_settled_behind_it(digits, monkeypatch):
    """By the network's output where no block behind is yet to learn, otherwise by the block's own head."""
    net = build("last:2", "local-resident")
    run = Run(net, digits, make_regime("local-resident", 1), replace(OPTIONS, epochs=1))
    judged: list[tuple[int, ...]] = []
    unset: list[set[int]] = []
    evaluate = run.selection._evaluate

    def noting(split, heads):
        judged.append(heads)
        unset.append({i for i, body in enumerate(net.bodies) if not all(map(_is_set, body.modules()))})
        return evaluate(split, heads)

    monkeypatch.setattr(run.selection, "_evaluate", noting)
    run.train()
    first, last = len(net) - 2, len(net) - 1
    assert judged == [(first,), (last,), (last,)]  # each phase, then the test set
    assert unset == [{last}, set(), set()]


def _is_set(module: torch.nn.Module) -> bool:
    return not isinstance(module, Quantizer) or module._is_ready


def test_levels_of_blocks_before_are_chosen_by_as_many_images_as_those_of_the_part(digits, monkeypatch):
    """Whatever the size of a batch, and whether what they give is cached."""
    ends = []
    for cached in (False, True):
        counts: list[int] = []
        monkeypatch.setattr(Quantizer, "set_up", _counting(counts))
        monkeypatch.setattr("blockwise.training.run.pays", lambda *_, cached=cached, **__: cached)
        net = build("last:1", "bp")
        Run(net, digits, make_regime("bp", 1), replace(OPTIONS, epochs=1, batch_size=4)).train()
        assert counts and set(counts) == {IMAGES}
        ends.append([v for n, v in net.state_dict().items() if n.endswith("step") and "bodies.0" in n])
        monkeypatch.undo()
    assert all(torch.equal(*pair) for pair in zip(*ends, strict=True))


def _counting(counts: list[int]):
    set_up = Quantizer.set_up

    def counting(self, x):
        if self.role == "activation":
            counts.append(len(x))
        set_up(self, x)

    return counting


def test_levels_of_what_rests_are_chosen_once_whatever_the_stages(digits, monkeypatch):
    """The widths of a chain are those of the part; a convolution at rest beside trained biases has one."""
    seen: Counter[Quantizer] = Counter()
    set_up = Quantizer.set_up
    monkeypatch.setattr(Quantizer, "set_up", lambda self, x: (seen.update([self]), set_up(self, x)))
    net = build("bias", "local")
    options = replace(OPTIONS, epochs=3, stages=Stages.chain((32, 8, 4)))
    Run(net, digits, make_regime("local", 1), options).train()
    assert net.part is not None
    at_rest = {q for name in net.part.resting for q in net.get_submodule(name).modules()}
    counts = {seen[q] for q in at_rest if isinstance(q, Quantizer)}
    assert counts == {1}
