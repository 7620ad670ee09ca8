"""PyTorch's compiler is loaded by what compiles, and by nothing else."""

import subprocess
import sys

import pytest
import torch

from blockwise.system.compiler import ASKED_FOR, SPARED, spare_compiler, use_compiler
from blockwise.training import sizes
from blockwise.training.updater import OPTIMIZERS

TRAINING = """
import sys
from blockwise.cli import main
code = main.main(["--model", "cnn", "--width", "4", "--regimes", "bp", "local", "--epochs", "1", "--quiet",
                  "--blocks", "layers", "--head", "gap", "--batch-size", "64", "--out", sys.argv[1]])
print(code, "torch._dynamo" in sys.modules)
"""


@pytest.mark.slow
def test_a_training_does_not_load_it(tmp_path):
    command = [sys.executable, "-c", TRAINING, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["0", "False"]


def test_functions_are_left_alone_in_their_own_form_until_something_is_compiled(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    bare = lambda: 3  # noqa: E731
    spare_compiler(torch._disable_dynamo(bare))
    assert getattr(bare, ASKED_FOR) is bare
    use_compiler()
    assert not hasattr(bare, ASKED_FOR) and SPARED == []


def test_where_it_is_loaded_already_nothing_is_changed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._dynamo", torch)
    bare = lambda: 3  # noqa: E731
    spare_compiler(torch._disable_dynamo(bare))
    assert not hasattr(bare, ASKED_FOR)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_without_wrappers_ends_with_the_bits_of_the_step_itself(name):
    ends = []
    for step in (sizes.step, lambda optimizer: optimizer.step()):
        torch.manual_seed(0)
        p = torch.nn.Parameter(torch.randn(9))
        optimizer = OPTIMIZERS[name]([p])
        optimizer.param_groups[0]["lr"] = 0.1
        for _ in range(3):
            optimizer.zero_grad()
            (p**3).sum().backward()
            step(optimizer)
        ends.append(p.detach().clone())
    assert torch.equal(*ends)
