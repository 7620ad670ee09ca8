"""Networks in files: Python code, programs of torch.export, ONNX graphs; kept with their runs."""

import importlib.util
from pathlib import Path

import numpy as np
import own_modules as own
import pytest
import torch
from onnx_graphs import graph, needs_onnx
from tiers import shown
from torch import nn

import blockwise
from blockwise import models
from blockwise.experiment import exported, run_folder
from blockwise.experiment.export import export
from blockwise.experiment.prepare import prepare
from blockwise.models import files
from devices.errors import InputError

SHAPE = (1, 8, 8)
CODE = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, in_channels, width=6, num_classes=10):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)
        self.drop, self.fc = nn.Dropout(0.1), nn.Linear(2 * width, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu6(self.norm(self.stem(x))), 2)
        x = torch.cat([F.relu(self.a(x)), F.silu(self.b(x))], 1) * torch.sigmoid(torch.cat([x, x], 1))
        return self.fc(self.drop(x.mean((2, 3))))


class Branching(Net):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


class Failing(nn.Module):
    def __init__(self):
        raise ValueError("no such weights")


def made(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))


def wanting(size):
    return made(size)


def short(n_class):
    return nn.Linear(64, n_class)


ready, number = made(10), 3
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(CODE)
    return f"{tmp_path}/net.py"


def network(net: str) -> nn.Module:
    torch.manual_seed(0)
    return files.load(f"{net}:Net", SHAPE, 10)


def test_a_class_a_function_and_a_module_are_taken_with_the_arguments_that_they_name(net):
    with pytest.warns(UserWarning, match=r"net.py:Net is made of in_channels=1, num_classes=7"):
        made = files.load(f"{net}:Net", SHAPE, 7)
    assert (made.stem.in_channels, made.stem.out_channels, made.fc.out_features) == (1, 6, 7)
    with pytest.warns(UserWarning, match="n_class=4"):
        assert files.load(f"{net}:short", SHAPE, 4).out_features == 4
    with pytest.warns(UserWarning, match="num_classes=3"):
        assert files.load(f"{net}:made", SHAPE, 3)[1].out_features == 3
    assert files.load(f"{net}:ready", SHAPE, 10)[1].out_features == 10


REFUSED = {
    "": r"got no name behind the file, wanted .*net.py:NAME; name one of Net, Branching, Failing, ready",
    ":Nix": "got no such name in it, wanted a module; name one of Net",
    ":number": "got a int, wanted a torch.nn.Module, its class, or a function that makes one",
    ":wanting": "got the parameter 'size' without a default, wanted defaults, or names among in_shape",
    ":Failing": r"net.py, line 27: got ValueError: no such weights, wanted a module of no arguments",
    ":Branching": r"Branching in net.py, line 22: got TraceError.*leave out branches and loops",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*is made of")
@pytest.mark.parametrize("name", REFUSED)
def test_code_that_gives_no_network_is_refused_with_its_line(net, name):
    with pytest.raises(InputError, match=REFUSED[name]) as refusal:
        models.build(f"{net}{name}", SHAPE)
    assert "\n" not in str(refusal.value)


def test_code_that_does_not_run_is_refused(tmp_path):
    (tmp_path / "net.py").write_text("import torch\n\nnix = torch.nix\n")
    with pytest.raises(InputError, match=r"net.py in net.py, line 3: got AttributeError"):
        models.build(f"{tmp_path}/net.py:nix", SHAPE)


@pytest.mark.parametrize("model", ["net.py:Net", "net.pt2", "net.onnx"])
def test_a_file_that_does_not_exist_is_refused(tmp_path, model):
    with pytest.raises(InputError, match=r"got no such file, wanted PATH\.py:NAME, FILE\.pt2"):
        models.build(f"{tmp_path}/{model}", SHAPE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is made of")
@pytest.mark.parametrize(("training", "batch"), [(False, 1), (False, 4), (True, 4)])
def test_an_exported_program_is_the_module_whatever_its_batch_and_mode(net, tmp_path, training, batch):
    module, path = network(net), tmp_path / "net.pt2"
    program = torch.export.export(module.train(training), (torch.randn(batch, *SHAPE),))
    torch.export.save(program, path)
    chain = models.build(str(path), SHAPE)
    x = torch.randn(5, *SHAPE)
    torch.testing.assert_close(chain.eval()(x), module.eval()(x))
    own = models.from_module(module, SHAPE)
    plans = [blockwise.plan(c, regime="bp", in_shape=SHAPE, blocks="1", batch_size=4) for c in (chain, own)]
    assert plans[0].peak_bytes == plans[1].peak_bytes
    assert chain.unit_names == own.unit_names


@pytest.mark.filterwarnings("ignore:.*is made of")
def test_programs_for_other_inputs_or_of_other_operations_are_refused(net, tmp_path):
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(network(net), (torch.randn(2, *SHAPE),)), path)
    with pytest.raises(InputError, match=r"got inputs of \(1, 8, 8\), wanted one of \(3, 32, 32\)"):
        models.build(str(path), (3, 32, 32))

    class Other(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.rfft(x).abs().flatten(1)

    torch.export.save(torch.export.export(Other(), (torch.randn(2, *SHAPE),)), path)
    with pytest.raises(InputError, match=r"got the operation aten::fft_rfft.*replace it and export again"):
        models.build(str(path), SHAPE)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"wanted a file of torch.export.save"):
        models.build(str(path), SHAPE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is made of")
def test_a_run_goes_on_and_is_exported_without_the_code_that_it_was_made_of(net, tmp_path):
    out = tmp_path / "run"
    settings = {"regimes": ("bp",), "epochs": 1, "method": "lsq", "weight_bits": 4, "activation_bits": 4}
    result = blockwise.train(f"{net}:Net", data="digits", out=out, **settings)
    before = prepare(run_folder.saved_config(out)).chain()
    Path(net).write_text("changed = 1")
    after = prepare(run_folder.saved_config(out)).chain()
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value)
    written = export(out)
    Path(net).unlink()
    trained = exported.load(written.path)
    digits = blockwise.data.load("digits").test
    right = (trained(digits.images).argmax(1) == digits.labels).float().mean()
    assert float(right) == pytest.approx(result.regimes[0].test_accuracy, abs=0.005)


def test_a_module_in_memory_is_kept_too_and_goes_on_from_the_command_line(tmp_path):
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    blockwise.train(module, data="digits", out=tmp_path / "run", regimes=("bp",), epochs=1)
    kept = prepare(run_folder.saved_config(tmp_path / "run")).chain()
    assert torch.equal(kept.units["conv_0"][0].weight, module[0].weight)


REARRANGED = [own.NormsLast, own.Shuffled, own.Gated, own.Broadcast, own.Mixed, own.Compact]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", REARRANGED)
def test_rearranged_maps_and_factors_come_back_from_files(kind, tmp_path):
    module, x = kind().eval(), torch.randn(4, *SHAPE)
    torch.export.save(torch.export.export(module, (torch.randn(2, *SHAPE),)), tmp_path / "net.pt2")
    formats = ["pt2"]
    if importlib.util.find_spec("onnx") is not None:
        torch.onnx.export(module, (torch.randn(1, *SHAPE),), tmp_path / "net.onnx", dynamo=False)
        formats.append("onnx")
    for suffix in formats:
        chain = models.build(f"{tmp_path}/net.{suffix}", SHAPE)
        torch.testing.assert_close(chain.eval()(x), module(x), rtol=1e-4, atol=1e-5)
        folded = suffix == "onnx" and any(isinstance(m, nn.BatchNorm2d) for m in module.modules())
        assert folded or models.count_parameters(chain) == models.count_parameters(module)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shuffle", [nn.PixelUnshuffle(2), nn.Sequential(nn.Conv2d(1, 4, 1), nn.PixelShuffle(2))]
)
def test_shuffles_of_pixels_come_back_from_a_program(shuffle, tmp_path):
    channels = shuffle(torch.zeros(1, *SHAPE)).shape[1]
    module = nn.Sequential(
        shuffle, nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    module.append(nn.Linear(4, 10))
    x = torch.randn(4, *SHAPE)
    torch.export.save(torch.export.export(module, (torch.randn(2, *SHAPE),)), tmp_path / "net.pt2")
    chain = models.build(f"{tmp_path}/net.pt2", SHAPE)
    torch.testing.assert_close(chain(x), module(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", shown([*REARRANGED, own.Sines], own.Shuffled, own.Mixed, own.Compact, own.Sines)
)
def test_networks_with_rearranged_maps_and_factors_are_trained_and_exported(kind, tmp_path):
    out, quantized = tmp_path / "run", {"method": "lsq", "weight_bits": 8, "activation_bits": 8}
    regimes = ("bp", "local", "local-resident")
    torch.manual_seed(0)
    result = blockwise.train(kind(), data="digits", out=out, regimes=regimes, epochs=2, **quantized)
    trained = exported.load(export(out, regime="bp").path)
    digits = blockwise.data.load("digits").test
    right = (trained(digits.images).argmax(1) == digits.labels).float().mean()
    assert float(right) == pytest.approx(result.regimes[0].test_accuracy, abs=0.005)
    assert all(row.test_accuracy > 0.15 for row in result.regimes)


@pytest.mark.skipif(importlib.util.find_spec("onnx") is not None, reason="the extra onnx is installed")
def test_without_the_extra_an_onnx_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"got no package onnx, wanted the extra onnx; pip install"):
        models.build(f"{tmp_path}/net.onnx", SHAPE)


@needs_onnx
def test_an_onnx_graph_is_what_the_reference_evaluates(tmp_path):
    from onnx.reference import ReferenceEvaluator

    g = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
        return g.normal(size=shape).astype(np.float32)

    weights = {
        "c1.weight": normal(6, 1, 3, 3), "c1.bias": normal(6), "c2.weight": normal(6, 2, 3, 3),
        "scale": normal(6), "shift": normal(6), "mean": normal(6), "variance": normal(6) ** 2 + 0.5,
        "low": np.float32(0), "high": np.float32(6), "all": np.array([0, -1]), "fc.weight": normal(24, 10),
        "fc.bias": normal(10), "first": np.array([0]), "rest": np.array([24]),
    }  # fmt: skip
    nodes = [
        ("Conv", ("x", "c1.weight", "c1.bias"), "a", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ("BatchNormalization", ("a", "scale", "shift", "mean", "variance"), "b", {"epsilon": 1e-3}),
        ("Clip", ("b", "low", "high"), "c", {}),
        ("Conv", ("c", "c2.weight"), "d", {"group": 3, "pads": [0, 1, 1, 0], "kernel_shape": [3, 3]}),
        ("Sigmoid", ("d",), "e", {}),
        ("Mul", ("d", "e"), "f", {}),
        ("Shape", ("x",), "s", {}),
        ("Gather", ("s", "first"), "n", {}),
        ("MaxPool", ("c",), "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Concat", ("n", "rest"), "sizes", {"axis": 0}),
        ("Reshape", ("p", "sizes"), "flat", {}),
        ("MatMul", ("flat", "fc.weight"), "m", {}),
        ("Add", ("fc.bias", "m"), "l1", {}),
        ("GlobalAveragePool", ("f",), "g", {}),
        ("Flatten", ("g",), "h", {}),
        ("Gemm", ("h", "w3", "b3"), "l2", {"transB": 1}),
        ("Add", ("l1", "l2"), "y", {}),
    ]
    weights |= {"w3": normal(10, 6), "b3": normal(10)}
    path = graph(tmp_path / "net.onnx", nodes, weights)
    chain, x = models.build(path, SHAPE), normal(3, *SHAPE)
    (expected,) = ReferenceEvaluator(path).run(None, {"x": x})
    found = chain.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert any(isinstance(m, nn.SiLU) for m in chain.modules())
    assert blockwise.plan(chain, regime="local", in_shape=SHAPE, blocks="1").peak_bytes > 0


@needs_onnx
def test_unknown_operators_of_onnx_are_named_with_their_node(tmp_path):
    path = graph(tmp_path / "net.onnx", [("Softsign", ("x",), "a", {}), ("Flatten", ("a",), "y", {})], {})
    with pytest.raises(InputError, match=r"net.onnx: node a: got the operator Softsign, wanted one of Add, "):
        models.build(path, SHAPE)
    path = graph(tmp_path / "net.onnx", [("HardSigmoid", ("x",), "y", {})], {})
    with pytest.raises(InputError, match=r"got HardSigmoid with alpha 0.2 and beta 0.5 in place of 1/6"):
        models.build(path, SHAPE)
    Path(path).write_bytes(b"nothing")
    with pytest.raises(InputError, match="wanted an ONNX file; export it again"):
        models.build(path, SHAPE)


@needs_onnx
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_what_pytorch_exports_to_onnx_comes_back(net, tmp_path, dynamo):
    if dynamo:
        pytest.importorskip("onnxscript")
    module, path = network(net).eval(), tmp_path / "net.onnx"
    torch.onnx.export(module, (torch.randn(2, *SHAPE),), path, dynamo=dynamo, verbose=False)
    x = torch.randn(4, *SHAPE)
    torch.testing.assert_close(models.build(str(path), SHAPE).eval()(x), module(x), rtol=1e-4, atol=1e-5)


def test_what_stands_beside_a_file_can_be_imported_while_the_module_is_made(tmp_path):
    (tmp_path / "beside_net.py").write_text(
        "from torch import nn\n\ndef head(n):\n    return nn.Linear(64, n)\n"
    )
    (tmp_path / "net.py").write_text(
        "from torch import nn, relu\n\n"
        "def make(num_classes):\n    from beside_net import head\n"
        "    return nn.Sequential(nn.Flatten(), head(num_classes))\n"
    )
    made = files.load(f"{tmp_path / 'net.py'}:make", (1, 8, 8), 7)
    assert made(torch.randn(2, 1, 8, 8)).shape == (2, 7)
    with pytest.raises(InputError, match=r"got a builtin_function_or_method, wanted a torch\.nn\.Module"):
        files.load(f"{tmp_path / 'net.py'}:relu", (1, 8, 8), 7)
