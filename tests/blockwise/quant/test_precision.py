"""Networks that convolve codes as codes: where they can, and what their trainings come to."""

import copy

import pytest
import torch
from byte_products import NEEDS_BYTES
from torch import Tensor, nn

from blockwise import models, quant
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.quant.precision import PRECISIONS, available, fallback, lower
from devices.program.regimes import Step

NEEDS_HALVES = pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="no products of halves")
X, Y = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(4)


def network(method: str = "lsq", residual: str = "codes", head: str = "gap") -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("resnet8", (1, 8, 8), 10, 8)
    groups = Anatomy(chain, head).cut("stages", Step())
    quant.quantize(chain, method, residual=residual)  # type: ignore[arg-type]
    net = BlockNet(chain, groups, head).to(memory_format=torch.channels_last).train()
    with torch.no_grad():
        net(X)
    return net


def shifted(net: BlockNet) -> BlockNet:
    """With norms that give no 0 for a whole number at the mean: a ReLU's gradient hangs on rounding there."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data = torch.linspace(0.1, 0.2, len(module.bias))
    return net


def convolutions(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]


def lowered(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if "_conv_forward" in vars(module)]


def distance(own: list[Tensor], theirs: list[Tensor]) -> float:
    """Between gradients, of the length of theirs."""
    a, b = (torch.cat([g.flatten() for g in many]) for many in (own, theirs))
    return float((a - b).norm() / b.norm())


def stepped(net: BlockNet) -> tuple[Tensor, list[Tensor]]:
    loss = net.loss(X, Y)
    loss.backward()
    return loss.detach(), [p.grad for p in net.bodies.parameters() if p.grad is not None]


@NEEDS_BYTES
@pytest.mark.parametrize("residual", ["codes", "float"])
def test_all_that_reads_codes_convolves_them_and_comes_to_the_same_loss_and_gradients(residual):
    eager = shifted(network(residual=residual))
    codes = copy.deepcopy(eager)
    lower([codes], "codes")
    assert set(convolutions(codes)) - set(lowered(codes)) == {"bodies.0.0.conv"}  # which reads images
    (loss, gradients), (found, own) = stepped(eager), stepped(codes)
    torch.testing.assert_close(found, loss, rtol=1e-5, atol=1e-6)
    assert distance(own, gradients) < 1e-5


class Mixed(nn.Sequential):
    """Norms that see maps as floats among those that see them as they are, and filters of single channels."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 1),
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10),
        )  # fmt: skip


@NEEDS_HALVES
@pytest.mark.parametrize("bits", [32, 8, 3])
@pytest.mark.parametrize("made", [Mixed, lambda: models.build("resnet8", (3, 16, 16), 10, 8)])
def test_in_bf16_a_step_is_as_near_to_that_in_floats_as_under_autocast(made, bits):
    """Both keep maps in bf16: codes that fall the other way carry most of the distance."""
    x = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    y = torch.arange(64) % 10
    found = []
    for how in ("floats", "autocast", "bf16"):
        torch.manual_seed(0)
        net = made()
        net = quant.quantize(net, "lsq", bits, bits) if bits < 32 else net
        net = net.to(memory_format=torch.channels_last).train()
        with torch.no_grad():
            net(x)
        if how == "bf16":
            lower([net], "bf16")
        with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            loss = nn.functional.cross_entropy(net(x).float(), y)
        loss.backward()
        found.append((loss.detach(), [p.grad for p in net.parameters()]))
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())
    (floats, expected), (_, autocast), (own, halves) = found
    torch.testing.assert_close(own, floats, rtol=1e-2, atol=0)
    assert distance(halves, expected) < 1.2 * distance(autocast, expected) + 1e-2


@NEEDS_HALVES
@pytest.mark.parametrize(
    "head", ["predsim-lean", "lookahead:4", "lookahead-shared:4", "sim", "gap", "pred-pooled"]
)
def test_heads_read_maps_in_bf16(head):
    floats, halves = network(head=head), network(head=head)
    lower([nn.ModuleList(halves.parts(i)) for i in range(len(halves))], "bf16")
    x, theirs = X, X
    for index in range(len(halves)):
        with torch.no_grad():
            theirs, expected = floats.taught(index, theirs, Y)
            x, loss = halves.taught(index, x, Y)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected, rtol=0.2, atol=0.1)


@NEEDS_BYTES
def test_a_head_that_reads_a_convolution_of_codes_has_floats_of_its_own():
    """The map of its block is none of the codes that the convolution reads."""
    eager, codes = (network(residual="float", head="lookahead-shared:4") for _ in range(2))
    lower([codes], "codes")
    for index in range(len(eager) - 1):
        with torch.no_grad():
            x = eager.run(X, 0, index + 1)
            torch.testing.assert_close(codes.heads[index](x, Y), eager.heads[index](x, Y), rtol=0, atol=0)


@NEEDS_BYTES
def test_between_blocks_that_step_by_themselves_codes_are_read_by_the_step_that_they_were_made_with():
    eager = shifted(network())
    net = copy.deepcopy(eager)
    lower([nn.ModuleList(net.parts(i)) for i in range(len(net))], "codes")
    assert set(convolutions(net)) - set(lowered(net)) == {"bodies.0.0.conv"}
    assert net.state_dict().keys() == eager.state_dict().keys()
    x = X
    for index in range(len(net)):
        expected, loss = eager.taught(index, x, Y)
        found, own = net.taught(index, x, Y)
        torch.testing.assert_close((found, own), (expected, loss), rtol=1e-5, atol=1e-6)
        gradients = [
            torch.autograd.grad(a, [*n.bodies[index].parameters()]) for a, n in ((own, net), (loss, eager))
        ]
        assert distance(*gradients) < 1e-5
        x = expected.detach()
        for step in (p for name, p in net.bodies[index].named_parameters() if name.endswith("step")):
            step.data *= 1.7  # as an update may do, before the next block reads


@NEEDS_BYTES
def test_codes_of_a_store_are_read_by_the_step_of_a_block_that_makes_none_any_more():
    eager = shifted(network())
    net = copy.deepcopy(eager)
    x = eager.run(X, 0, 1).detach()
    lower([nn.ModuleList(net.parts(i)) for i in range(len(net))], "codes")
    torch.testing.assert_close(net.taught(1, x, Y), eager.taught(1, x, Y), rtol=1e-5, atol=1e-6)


def test_methods_whose_levels_are_not_counted_in_bytes_stay_as_they_are_but_for_gradients():
    net, low = network("centroids"), network("centroids")
    lower([net], "codes")
    assert lowered(net) == []
    lower([low], "bf16")
    assert set(lowered(low)) == set(convolutions(low))
    for module in low.modules():
        if type(module) is nn.Conv2d:  # of floats, which are rounded in the forward pass too
            del vars(module)["_conv_forward"]
    torch.testing.assert_close(stepped(low)[0], stepped(network("centroids"))[0])


@NEEDS_BYTES
def test_a_width_beyond_bytes_for_the_time_being_is_no_fault():
    net = network()
    lower([net], "codes")
    for module in net.modules():
        if isinstance(module, quant.Quantizer):
            module.set_bits(32)
    twin = copy.deepcopy(network())
    for module in twin.modules():
        if isinstance(module, quant.Quantizer):
            module.set_bits(32)
    torch.testing.assert_close(stepped(net)[0], stepped(twin)[0])


@NEEDS_BYTES
@pytest.mark.parametrize(("bits", "vnni", "called"), [(3, False, True), (8, False, False), (8, True, True)])
def test_products_whose_sums_in_twos_need_more_than_16_bits_take_vnni(bits, vnni, called, monkeypatch):
    seen = []

    def of_codes(x: Tensor, w: Tensor, x_step: Tensor, w_step: Tensor, where: tuple, **how: bool) -> Tensor:
        seen.append(how)
        return nn.functional.conv2d(x, w, None, *where)

    monkeypatch.setattr("blockwise.quant.codes_conv.conv_of_codes", of_codes)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: vnni)
    net = network()
    for module in net.modules():
        if isinstance(module, quant.Quantizer):
            module.set_bits(bits)
    lower([net], "codes")
    net.loss(X, Y)
    assert lowered(net) and bool(seen) == called


@pytest.mark.parametrize(
    ("asked", "device", "halves", "bytes_at_once", "found", "told"),
    [
        ("bf16", "cpu", True, True, "bf16", ""),
        ("bf16", "cpu", False, True, "codes", "no products of bf16 (AVX512-BF16, AMX) on this processor"),
        ("bf16", "cpu", False, False, "float32", "no products of bytes (AVX2, VNNI) on this processor"),
        ("codes", "cpu", True, False, "float32", "no products of bytes (AVX2, VNNI) on this processor"),
        ("codes", "cuda", True, True, "float32", "on the accelerator cuda; trains with --precision float32"),
        ("float32", "cuda", False, False, "float32", ""),
    ],
)
def test_what_the_processor_lacks_is_told_in_a_line(
    asked, device, halves, bytes_at_once, found, told, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx2_supported", lambda: bytes_at_once)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: halves)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert asked in PRECISIONS and available(asked, device) == found
    line = fallback(asked, device)
    assert told in line and bool(line) == bool(told)


def test_what_a_dropout_leaves_is_no_code_and_is_convolved_as_floats():
    """Values are divided by 1 - p: no whole number of steps, and beyond the largest code."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Dropout2d(0.3),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
    )
    usual = quant.quantize(nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(32, 10)), "lsq", 3, 3)
    x = torch.randn(4, 3, 8, 8)
    usual(x)
    for precision in ("codes", "bf16"):
        other = copy.deepcopy(usual)
        lower([other], precision)
        found = []
        for net in (usual, other):
            torch.manual_seed(1)
            found.append(net.train()[:4](x))
        near = {"codes": 1e-5, "bf16": 5e-2}[precision]  # some codes fall the other way
        assert (found[1].float() - found[0]).norm() < near * found[0].norm()
