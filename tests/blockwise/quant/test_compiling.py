"""The check of compiled gradients, with a compiler that keeps them and one that loses them."""

import pytest
import torch

from blockwise import models, quant
from blockwise.experiment import prepare
from blockwise.experiment.config import Config
from blockwise.experiment.settings import ImageSettings, OutputSettings, TrainingSettings
from blockwise.quant.compiling import check_compiled
from blockwise.quant.methods import lsq
from devices.errors import InputError

pytestmark = pytest.mark.slow  # the compiler takes seconds to start
BACKEND = "aot_eager"
"""Traces forward and backward as every compilation does, and generates no code, which takes longest."""


def network(method: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return quant.quantize(models.build("cnn", (3, 16, 16), 10, 4), method)


class _Losing(lsq.LSQ):
    """As functions of some versions: right, but without a gradient once compiled."""

    part = "input"

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        y = super().quantize(x)
        if not torch.compiler.is_compiling():
            return y
        return x - x + y.detach() if self.part == "step" else y + (x.detach() - x)


@pytest.mark.parametrize("method", ["lsq", "dorefa"])
def test_quantizers_whose_compiled_gradients_are_the_eager_ones_pass(method):
    check_compiled(network(method), BACKEND)


@pytest.mark.parametrize("part", ["input", "step"])
def test_a_compiler_that_loses_a_gradient_is_refused_in_one_line(part, monkeypatch):
    net = network("lsq")
    monkeypatch.setattr(_Losing, "part", part)
    for module in net.modules():
        if isinstance(module, lsq.LSQ) and module.role == "weight":
            module.__class__ = _Losing
    with pytest.raises(
        InputError, match=r"^--compile: got PyTorch .*_Losing has other gradients.*; leave"
    ) as e:
        check_compiled(net, BACKEND)
    assert "\n" not in str(e.value)


def test_the_check_changes_neither_the_network_nor_the_noise_that_comes_next():
    net, torch_state = network("quant-noise"), torch.get_rng_state()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    check_compiled(net, BACKEND)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_a_network_without_quantizers_has_nothing_to_check():
    check_compiled(network("fp32"), "no such backend")


@pytest.mark.parametrize(
    ("training", "output", "checked"),
    [
        (TrainingSettings(("bp",), compile=True), OutputSettings(), True),
        (TrainingSettings(("bp",)), OutputSettings(), False),
        (TrainingSettings(("bp",), compile=True), OutputSettings(dry_run=True), False),
    ],
    ids=["compiled", "eager", "dry run"],
)
def test_only_what_is_to_be_trained_compiled_is_checked_and_before_any_work(
    training, output, checked, monkeypatch
):
    seen: list[torch.nn.Module] = []
    monkeypatch.setattr(prepare, "check_compiled", seen.append)
    prepare.prepare(Config(images=ImageSettings("digits"), training=training, output=output))
    assert [any(isinstance(m, quant.Quantizer) for m in net.modules()) for net in seen] == [True] * checked
