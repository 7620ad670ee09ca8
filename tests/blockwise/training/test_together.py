"""Blocks that learn together: the last one teaches the others, and some skip a step by chance."""

import copy
from dataclasses import replace

import pytest
import torch
from small_cnn import build
from torch.nn import functional as F

from blockwise.heads import Taught
from blockwise.nets.blocks import BlockNet
from blockwise.nets.compiling import compiled
from blockwise.training.local import LocalLearning, block_step
from blockwise.training.updater import Updater
from devices.program.distillation import Distillation

TOLD = Distillation(3.0, 0.3)
TEACHING, SKIPPING = LocalLearning("local", TOLD), LocalLearning("local", skip_heads=0.5)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(8, 1, 8, 8), torch.arange(8)


def built(head: str = "lookahead:4", norm: str = "batch") -> BlockNet:
    net = build(head=head, norm=norm).train()
    with torch.no_grad():  # running statistics of their own
        for _ in range(3):
            net.run(torch.rand(8, 1, 8, 8), 0, len(net))
    return net


def gradients(net: BlockNet, index: int) -> list[torch.Tensor | None]:
    return [
        None if p.grad is None else p.grad.clone() for part in net.parts(index) for p in part.parameters()
    ]


def test_the_loss_is_that_of_hinton_et_al_and_its_gradient_that_of_their_equation(batch):
    """(1 - w) H(y, p) + w T^2 KL(q || p_T), and (1 - w) (p - y) + w T (p_T - q), over the batch."""
    y = batch[1]
    logits, answer = (torch.randn(8, 10, dtype=torch.double) for _ in range(2))
    logits.requires_grad_()
    loss = build().heads[0].loss(logits, Taught(y, answer, 3.0, 0.3))
    p, soft, q = (t.softmax(1) for t in (logits, logits / 3, answer / 3))
    apart = (q * (q.log() - soft.log())).sum(1).mean()
    expected = 0.7 * -p[torch.arange(8), y].log().mean() + 0.3 * 9 * apart
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    (found,) = torch.autograd.grad(loss, logits)
    error = 0.7 * (p - F.one_hot(y, 10)) + 0.3 * 3 * (soft - q)
    assert torch.allclose(found, error.detach() / 8, atol=1e-12)


def test_the_answer_is_that_of_the_network_as_deployed_and_nothing_follows_it(batch):
    net = built()
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    found = net.answer(batch[0])
    assert not found.requires_grad
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    with torch.no_grad():
        assert torch.equal(found, copy.deepcopy(net).eval()(batch[0]))


@pytest.mark.parametrize("head", ["lookahead:4", "predsim-lean"])
def test_every_head_before_the_last_learns_by_the_answer_before_the_step_and_no_gradient_crosses(batch, head):
    net, x = built(head), batch[0]
    alone, (phase,) = copy.deepcopy(net), TEACHING.phases(net)
    answer = net.answer(x)
    losses = TEACHING.step(net, phase, *batch)
    for index in range(len(alone)):
        last = index == len(alone) - 1
        x, loss = block_step(alone, index, x, batch[1] if last else Taught(batch[1], answer, 3.0, 0.3))
        assert torch.equal(loss, losses[index])
        others = [g for i in range(len(alone)) if i > index for g in gradients(alone, i)]
        assert all(g is None for g in others)
        for ours, reference in zip(gradients(net, index), gradients(alone, index), strict=True):
            assert reference is not None and ours is not None
            assert torch.equal(ours, reference)


def test_a_teacher_that_says_something_else_changes_the_gradients_of_all_heads_but_the_last(batch):
    plain, taught = built(), built()
    LocalLearning().step(plain, LocalLearning().phases(plain)[0], *batch)
    TEACHING.step(taught, TEACHING.phases(taught)[0], *batch)
    changed = [
        any(not torch.equal(a, b) for a, b in zip(gradients(plain, i), gradients(taught, i), strict=True))
        for i in range(len(plain))
    ]
    assert changed == [True] * (len(plain) - 1) + [False]


def test_a_compiled_network_is_asked_in_one_piece(batch, monkeypatch):
    monkeypatch.setattr("blockwise.nets.compiling._compile", lambda module: module)
    monkeypatch.setattr("blockwise.nets.compiling.allow_versions", lambda: None)
    net = built()
    twin = compiled(net)
    assert torch.equal(twin.answer(batch[0]), net.answer(batch[0]))
    assert list(twin.pieces) == [("answer", 0)]


@pytest.mark.parametrize("fused", [True, False])
def test_a_block_that_skips_a_step_hands_on_as_ever_and_stays_what_it_is(batch, fused):
    net = built()
    plain, (phase,) = copy.deepcopy(net), SKIPPING.phases(net)
    before = copy.deepcopy(net.state_dict())
    torch.manual_seed(5)
    skipped = (torch.rand(len(net) - 1) < 0.5).tolist()
    assert any(skipped) and not all(skipped)
    made = [Updater(n.parameters(), "sgd-momentum", fused=fused) for n in (net, plain)]
    for updater in made:
        updater.set_learning_rate(0.1)
    torch.manual_seed(5)
    losses = SKIPPING.step(net, phase, *batch)
    whole = LocalLearning().step(plain, phase, *batch)
    for updater in made:
        updater.finish_step()
    assert [bool(loss == 0) for loss in losses] == [*skipped, False]
    for index, skips in enumerate([*skipped, False]):
        assert skips or torch.equal(losses[index], whole[index])
        for kind in ("bodies", "heads"):
            for name, value in getattr(net, kind)[index].named_parameters():
                other = before if skips else plain.state_dict()
                assert torch.equal(value, other[f"{kind}.{index}.{name}"])
        for name, value in net.bodies[index].named_buffers():  # statistics follow in every step
            assert torch.equal(value, dict(plain.bodies[index].named_buffers())[name])


def test_blocks_skip_in_their_share_of_the_steps_and_the_last_never():
    net = built()
    (phase,) = SKIPPING.phases(net)
    torch.manual_seed(0)
    counts = torch.zeros(len(net))
    for _ in range(2000):
        for index in replace(SKIPPING, skip_heads=0.3)._skipped(phase):
            counts[index] += 1
    assert counts[-1] == 0
    assert all(abs(count / 2000 - 0.3) < 0.04 for count in counts[:-1])


def test_nothing_is_drawn_where_no_block_skips(batch):
    net = built()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    LocalLearning().step(net, LocalLearning().phases(net)[0], *batch)
    TEACHING.step(net, TEACHING.phases(net)[0], *batch)
    assert torch.equal(state, torch.get_rng_state())
