"""Every regime starts from the weights that a network of one's own has."""

import warnings

import pytest
import torch
from torch import nn

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.firmware.float_start import start_of
from blockwise.firmware.making import firmware_of
from blockwise.integer.images import from_pixels
from blockwise.integer.layers import weighted, weights_of
from blockwise.integer.net import IntegerNet
from blockwise.system.notes import Note

SHAPE = (1, 8, 8)
CODE = """from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
        super().__init__(*layers)
"""
pytestmark = pytest.mark.filterwarnings("ignore::blockwise.system.notes.Note")


def module(seed: int, *, bias: bool = False) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=bias), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1, bias=bias), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10, bias=bias),
    )  # fmt: skip


def prepared(
    own: nn.Module | None, *regimes: str, model: str = "module:Sequential", **more: object
) -> Prepared:
    asked = {"regimes": regimes, "in_shape": SHAPE, "dry_run": True, "batch_size": 1, "blocks": "layers"}
    return prepare(config_of({"model": model, **asked, **more}), own=own)


def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    """The cosine between them: 1 where they are the same up to a factor."""
    return float(nn.functional.cosine_similarity(one.detach().flatten(), other.detach().flatten(), 0))


def integers(found: Prepared, regime: str) -> IntegerNet:
    net = found.build(regime)
    assert isinstance(net, IntegerNet)
    return net


@pytest.mark.parametrize("regime", ["niti", "niti4-local", "niti4-jump", "nitro-local"])
def test_integer_regimes_take_them_in_the_form_of_their_arithmetic(regime):
    """Up to a factor, to 8 bits, or 4 between the edges."""
    states = []
    for seed in (0, 1):
        own = module(seed)
        net = integers(prepared(own, regime), regime)
        states.append(weights_of(net.bodies))
        for layer, theirs in zip(weighted(net.bodies), (own[0], own[3], own[6]), strict=True):
            floats = net.arithmetic.floats(layer.weight, layer.place)
            edge = theirs is not own[3]
            assert alike(floats, theirs.weight) > (0.999 if edge or regime != "niti4-jump" else 0.98)
    assert all(not torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_integers_begin_with_the_scores_of_the_module_up_to_a_factor():
    own = module(0)
    net = integers(prepared(own, "niti"), "niti").eval()
    images = torch.randint(0, 256, (32, *SHAPE), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    with torch.no_grad():
        wanted = own(from_pixels(images).mantissa.float())
    scores = net.run(images, 0, len(net)).mantissa.float()
    assert (scores / scores.norm() - wanted / wanted.norm()).norm() < 0.06


def test_so_do_a_file_of_an_exported_program_and_a_class(tmp_path):
    own, again = module(3), module(3)
    torch.export.save(torch.export.export(own.eval(), (torch.zeros(2, *SHAPE),)), tmp_path / "net.pt2")
    of_file = integers(prepared(None, "niti", model=str(tmp_path / "net.pt2")), "niti")
    of_module = integers(prepared(again, "niti"), "niti")
    for one, other in zip(weights_of(of_file.bodies), weights_of(of_module.bodies), strict=True):
        assert torch.equal(one, other)
    (tmp_path / "net.py").write_text(CODE)
    of_class = prepared(None, "niti", model=f"{tmp_path / 'net.py'}:Net")
    assert of_class.own is not None
    drawn = next(of_class.own.parameters())
    assert alike(weights_of(integers(of_class, "niti").bodies)[0].float(), drawn) > 0.999


def test_firmware_begins_with_them():
    found = prepared(module(2), "niti")
    given = firmware_of(found, "niti").given
    assert given is not None
    wanted = weights_of(integers(found, "niti").bodies)
    kept = [[int(word) & 0xFF for word in value.flatten()] for value in given.values()]
    assert all([int(word) & 0xFF for word in weight.flatten()] in kept for weight in wanted)


def test_that_integers_leave_biases_out_is_told_once():
    with pytest.warns(Note, match="model module:Sequential: integer regimes leave biases out"):
        prepared(module(0, bias=True), "niti")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared(module(0), "niti")
        prepared(module(0, bias=True), "bp")


def test_an_output_that_learns_alone_keeps_them_where_a_drawn_one_would_begin_at_zero():
    own = module(0)
    found = prepare(
        config_of({
            "model": "module:Sequential", "regimes": ("local",), "blocks": "layers", "head": "predsim",
            "method": "fp32", "batch_size": 4,
        }), own=own,
    )  # fmt: skip
    chain, net = start_of(found, "local")
    for started in (found.build("local"), net, chain):
        layers = [m for m in started.modules() if isinstance(m, nn.Linear)]
        assert any(torch.equal(layer.weight, own[6].weight) for layer in layers)
