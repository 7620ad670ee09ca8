"""Attention as people write it: the same values and gradients by layers, products and softmaxes."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import own_modules as own
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import devices
from blockwise import models
from blockwise.models import from_module
from devices.errors import InputError

SHAPE = (1, 8, 8)
WIDTH, HEADS, TOKENS = 8, 2, 16


class Tokens(nn.Module):
    """``body`` of the tokens (B, 16, 8) of a convolution, with linear layers that it may call."""

    def __init__(self, body: Callable[["Tokens", Tensor], Tensor], **modules: nn.Module | Tensor) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Conv2d(1, WIDTH, 2, 2), body, nn.Linear(WIDTH, 10)
        self.q, self.k, self.v, self.p = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        for name, made in modules.items():
            if isinstance(made, Tensor) and not isinstance(made, nn.Parameter):
                self.register_buffer(name, made)
            else:
                setattr(self, name, made)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.body(self, self.stem(x).flatten(2).transpose(1, 2)).mean(1))


def in_heads(m: Tokens, x: Tensor) -> list[Tensor]:
    return [f(x).view(x.shape[0], TOKENS, HEADS, -1).transpose(1, 2) for f in (m.q, m.k, m.v)]


def merged(m: Tokens, x: Tensor) -> Tensor:
    return m.p(x.transpose(1, 2).reshape(x.shape[0], TOKENS, WIDTH))


def by_matmul(m: Tokens, x: Tensor) -> Tensor:
    q, k, v = in_heads(m, x)
    return merged(m, torch.softmax(torch.matmul(q, k.transpose(-2, -1)) / 2, -1) @ v)


def of_scaled_queries(m: Tokens, x: Tensor) -> Tensor:
    q, k, v = in_heads(m, x)
    return merged(m, ((q * 0.5) @ k.mT).softmax(dim=3) @ v)


def of_one_head(m: Tokens, x: Tensor) -> Tensor:
    shares = F.softmax(torch.bmm(m.q(x), m.k(x).transpose(1, 2)) * 0.5, dim=2)
    return x + m.p(torch.bmm(shares, m.v(x)))


def by_einsum(m: Tokens, x: Tensor) -> Tensor:
    q, k, v = (f(x).view(x.shape[0], TOKENS, HEADS, -1) for f in (m.q, m.k, m.v))
    shares = (torch.einsum("bihd,bjhd->bhij", q, k) / 2).softmax(-1)
    return m.p(torch.einsum("bhij, bjhd -> bihd", shares, v).flatten(2))


def scaled(m: Tokens, x: Tensor) -> Tensor:
    return merged(m, F.scaled_dot_product_attention(*in_heads(m, x)))


def of_parts(m: Tokens, x: Tensor) -> Tensor:
    q, k, v = m.joined(x).chunk(3, dim=-1)
    return F.scaled_dot_product_attention(q, k, v, scale=0.5)


def of_several_at_once(m: Tokens, x: Tensor) -> Tensor:
    q, k, v = m.joined(x).view(len(x), TOKENS, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    return merged(m, F.scaled_dot_product_attention(q, k, v))


def along_channels(m: Tokens, x: Tensor) -> Tensor:
    return x * torch.softmax(m.q(x), 1)


def with_itself(m: Tokens, x: Tensor) -> Tensor:
    return torch.bmm(torch.bmm(x, x.mT).softmax(-1), x)


def of_one_row(m: Tokens, x: Tensor) -> Tensor:
    return x + torch.softmax(m.q(x).mean(1, keepdim=True) @ m.k(x).mT, -1) @ m.v(x)


def layer(**options: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 12, dropout=0.0, batch_first=True, **options)


def seen() -> Tensor:
    """By tokens, of those up to them."""
    return torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()


def summand() -> Tensor:
    return torch.zeros(TOKENS, TOKENS).masked_fill(~seen(), float("-inf"))


def of_masked(mask: Callable[[Tokens, Tensor], Tensor]) -> Callable[[Tokens, Tensor], Tensor]:
    def masked(m: Tokens, x: Tensor) -> Tensor:
        q, k, v = in_heads(m, x)
        return merged(m, mask(m, torch.matmul(q, k.transpose(-2, -1)) / 2).softmax(-1) @ v)

    return masked


def number() -> Tensor:
    return nn.Parameter(torch.ones(()))


def asked_for(**options: Any) -> Callable[[Tokens, Tensor], Tensor]:
    def masked(m: Tokens, x: Tensor) -> Tensor:
        named = {key: value(m) if callable(value) else value for key, value in options.items()}
        return merged(m, F.scaled_dot_product_attention(*in_heads(m, x), **named))

    return masked


def of_a_mask_that_is_made(m: Tokens, scores: Tensor) -> Tensor:
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill_(hidden, float("-inf"))


def of_a_larger_mask(m: Tokens, scores: Tensor) -> Tensor:
    n = scores.size(-1)
    return scores.masked_fill(m.larger[:, :, :n, :n] == 0, float("-inf"))


HIDDEN = float("-inf")
MASKED: dict[str, "Case"] = {
    "filled": (of_masked(lambda m, s: s.masked_fill(m.seen.logical_not(), HIDDEN)), {"seen": seen}, 2),
    "filled by a mask that is made": (of_masked(of_a_mask_that_is_made), {}, 2),
    "filled by a larger mask": (
        of_masked(of_a_larger_mask), {"larger": lambda: torch.ones(1, 1, 20, 20).tril()}, 2,
    ),
    "added": (of_masked(lambda m, s: s + m.summand), {"summand": summand}, 2),
    "chosen": (of_masked(lambda m, s: torch.where(m.seen, s, HIDDEN)), {"seen": seen}, 2),
    "chosen the other way round": (
        of_masked(lambda m, s: torch.where(~m.seen, torch.full_like(s, -1e9), s)), {"seen": seen}, 2,
    ),
    "chosen by a method": (
        of_masked(lambda m, s: s.where(m.seen, torch.tensor(HIDDEN))), {"seen": seen}, 2,
    ),
    "causal": (asked_for(is_causal=True), {}, 2),
    "by a mask": (asked_for(attn_mask=lambda m: m.seen), {"seen": seen}, 2),
    "by a summand": (asked_for(attn_mask=lambda m: m.summand), {"summand": summand}, 2),
    "nn.MultiheadAttention, masked": (
        lambda m, x: m.a(x, x, x, attn_mask=~m.seen, need_weights=False, is_causal=True)[0],
        {**{"a": lambda: nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)}, "seen": seen}, 2,
    ),
    "its pair, masked": (
        lambda m, x: m.a(x, x, x, attn_mask=m.summand)[0],
        {"a": lambda: nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), "summand": summand}, 2,
    ),
    "an encoder, masked": (
        lambda m, x: m.a(x, mask=nn.Transformer.generate_square_subsequent_mask(x.shape[1])),
        {"a": lambda: nn.TransformerEncoder(layer(), 2)}, 4,
    ),
}  # fmt: skip
"""The same attention, of which each token sees those up to it, as people write it."""


def learnt(*shape: int) -> Callable[[], Tensor]:
    return lambda: nn.Parameter(torch.randn(shape))


def by_queries(m: Tokens, x: Tensor) -> Tensor:
    return m.p((torch.matmul(m.queries, m.k(x).transpose(-2, -1)) / 2).softmax(-1) @ m.v(x))


def by_queries_of_heads(m: Tokens, x: Tensor) -> Tensor:
    _, k, v = in_heads(m, x)
    found = F.scaled_dot_product_attention(m.queries.expand(x.size(0), -1, -1, -1), k, v)
    return m.p(found.transpose(1, 2).flatten(2))


LEARNT: dict[str, "Case"] = {
    "learnt queries": (by_queries, {"queries": learnt(1, 3, WIDTH)}, 2),
    "learnt queries of heads": (by_queries_of_heads, {"queries": learnt(1, HEADS, 3, WIDTH // HEADS)}, 2),
}
"""Attention of which each query is trained, as Perceivers have it (Jaegle et al. 2021, arXiv 2103.03206)."""

JOINED = {"joined": lambda: nn.Linear(WIDTH, 3 * WIDTH)}
HEADED = {"a": lambda: nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)}
Case = tuple[Callable[[Tokens, Tensor], Tensor], dict[str, Callable[[], nn.Module | Tensor]], int]
WRITTEN: dict[str, Case] = {  # the last is how many products of matrices there are
    "matmul": (by_matmul, {}, 2),
    "scaled queries": (of_scaled_queries, {}, 2),
    "one head": (of_one_head, {}, 2),
    "einsum": (by_einsum, {}, 2),
    "scaled dot product": (scaled, {}, 2),
    "parts": (of_parts, JOINED, 2),
    "several at once": (of_several_at_once, JOINED, 2),
    "softmax along channels": (along_channels, {}, 0),
    "with itself": (with_itself, {}, 2),
    "one row": (of_one_row, {}, 2),
    "in another type": (
        lambda m, x: x + m.p(torch.softmax(m.q(x).float() @ m.k(x).mT, -1).type_as(x) @ m.v(x)[:, :]),
        {},
        2,
    ),
    "as timm": (lambda m, x: m.a(x), {"a": lambda: own.Heads(WIDTH, HEADS)}, 2),
    "nn.MultiheadAttention": (lambda m, x: x + m.a(x, x, x, need_weights=False)[0], HEADED, 2),
    "its pair": (lambda m, x: m.a(x, x, x)[0], HEADED, 2),
    "shares that are read": (lambda m, x: m.v(x) + m.a(x, x, x)[1].mean(1).unsqueeze(-1), HEADED, 1),
    "shares of heads": (
        lambda m, x: x + m.a(x, x, x, average_attn_weights=False)[1][:, 0] @ m.v(x),
        HEADED,
        2,
    ),
    "an encoder layer": (lambda m, x: m.a(x), {"a": layer}, 2),
    "norms first": (lambda m, x: m.a(x), {"a": lambda: layer(norm_first=True, activation="gelu")}, 2),
    "an encoder": (lambda m, x: m.a(x), {"a": lambda: nn.TransformerEncoder(layer(), 2)}, 4),
    **MASKED,
    **LEARNT,
}


def made(name: str) -> tuple[nn.Module, int]:
    torch.manual_seed(0)
    body, modules, products = WRITTEN[name]
    return Tokens(body, **{key: make() for key, make in modules.items()}), products


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_the_same_function_with_the_same_gradients(name):
    module, products = made(name)
    chain, x = from_module(module, SHAPE), torch.randn(3, *SHAPE)
    outcomes = []
    for net in (module, chain):
        net.train()
        y = net(x)
        y.square().sum().backward()
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        outcomes.append((y, sorted(g.double().square().sum().item() for g in gradients)))
    (own_y, own_gradients), (y, gradients) = outcomes
    torch.testing.assert_close(y, own_y)
    assert gradients == pytest.approx(own_gradients, rel=1e-4, abs=1e-9)
    kinds = [x.kind for x in chain.describe(blocks="1", head="gap").layers]
    assert kinds.count("matmul") == products
    assert kinds.count("scale") == (name in LEARNT)  # factors are those of the products


PLAIN = ("einsum", "in another type")
"""What decompositions make something else of."""


def same_of_a_file(module: nn.Module, path: Path) -> None:
    x = torch.randn(3, *SHAPE)
    chain = models.build(str(path), SHAPE)
    torch.testing.assert_close(chain.eval()(x), module.eval()(x), rtol=1e-4, atol=1e-5)
    nets = chain, from_module(module, SHAPE)
    first, second = (devices.plan(net, "stm32", regime="bp").peak_bytes for net in nets)
    assert first == second


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [*PLAIN, "as timm", "nn.MultiheadAttention", "norms first", "filled by a mask that is made", "chosen",
     "by a mask", "nn.MultiheadAttention, masked", "its pair, masked"],
)  # fmt: skip
def test_it_comes_back_from_a_program(name, tmp_path):
    module, _ = made(name)
    batch = {0: torch.export.Dim("batch")}
    x = (torch.randn(2, *SHAPE),)
    of_any = torch.export.export(module.train(), x, dynamic_shapes=(batch,))
    at_rest = torch.export.export(module.eval(), x)
    whole = () if name in PLAIN else (of_any, at_rest)
    decomposed = (program.run_decompositions() for program in whole)
    for program in (of_any, at_rest, *decomposed):
        torch.export.save(program, tmp_path / "net.pt2")
        same_of_a_file(module, tmp_path / "net.pt2")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_token_of_its_own_comes_back_from_a_program(tmp_path):
    module = by_token()
    torch.export.save(torch.export.export(module, (torch.randn(2, *SHAPE),)), tmp_path / "net.pt2")
    same_of_a_file(module, tmp_path / "net.pt2")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="the extra onnx is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["as timm", "one head", "scaled dot product", "filled", "by a mask", "by a summand"]
)
def test_it_comes_back_from_an_onnx_file(name, tmp_path):
    module, _ = made(name)
    x = torch.randn(1, *SHAPE)
    torch.onnx.export(module.eval(), (x,), tmp_path / "net.onnx", dynamo=False, opset_version=18)
    same_of_a_file(module, tmp_path / "net.onnx")


def with_token(m: Tokens, x: Tensor) -> Tensor:
    x = torch.cat((m.token.repeat(x.shape[0], 1, 1), x), dim=1) + m.places[:, : x.shape[1] + 1]
    return x + m.a(x, x, x, need_weights=False)[0]


class ByToken(Tokens):
    """The class is told by a token beside those of the image (Dosovitskiy et al. 2020, arXiv 2010.11929)."""

    def forward(self, x: Tensor) -> Any:
        return self.head(self.body(self, self.stem(x).flatten(2).transpose(1, 2))[:, 0])


def by_token() -> nn.Module:
    torch.manual_seed(0)
    token, places = (nn.Parameter(torch.randn(1, count, WIDTH)) for count in (1, TOKENS + 1))
    return ByToken(with_token, token=token, places=places, a=HEADED["a"]())


def test_a_token_of_its_own_and_places_are_trained_parameters_of_the_same_gradients():
    module, x = by_token(), torch.randn(3, *SHAPE)
    chain = from_module(module, SHAPE)
    for net in (module, chain):
        net(x).square().sum().backward()
    for name in ("token", "places"):
        (found,) = (p for path, p in chain.named_parameters() if path.split(".")[-2].startswith(name))
        torch.testing.assert_close(found.grad, getattr(module, name).grad.flatten())
    (affine, _) = (x.op for x in chain.describe(blocks="1", head="gap").layers if x.kind == "affine")
    assert (affine.sides, affine.biases) == ((1, WIDTH), WIDTH)


def test_parameters_of_any_shape_beside_a_map_are_trained():
    for shape in [(1,), (TOKENS, 1), (1, TOKENS, WIDTH), (TOKENS, WIDTH), (WIDTH,)]:
        for combine in (torch.add, torch.mul):
            torch.manual_seed(0)
            module = Tokens(lambda m, x, f=combine: f(m.q(x), m.given), given=nn.Parameter(torch.rand(shape)))
            chain, x = from_module(module, SHAPE), torch.randn(3, *SHAPE)
            for net in (module, chain):
                net(x).square().sum().backward()
            learnt = [p for name, p in chain.named_parameters() if "given" in name]
            (found,) = learnt
            torch.testing.assert_close(found.grad, module.given.grad.flatten())


def test_softmaxes_lie_where_the_scores_lay_and_products_count():
    torch.manual_seed(0)
    chain = from_module(own.Compact(), SHAPE)
    plan = devices.plan(chain, "stm32", regime="bp", batch_size=2, blocks="1", head="gap").schedule
    layers = plan.layers
    scores, mixed, pooled = (x for x in layers.values() if x.kind == "matmul")
    assert (scores.shape, scores.op.factor, scores.macs) == ((2, 16, 16), 0.5, 2 * 16 * 16 * 4)
    assert (mixed.shape, mixed.macs) == ((2, 16, 4), 2 * 16 * 4 * 16)
    assert (pooled.shape, pooled.macs) == ((1, 8), 8 * 16)
    made = {x.layer: dict(x.results)["output"] for x in plan.operations if x.action == "forward"}
    (shares,) = (x.name for x in layers.values() if x.kind == "softmax" and x.inputs == (scores.name,))
    assert made[shares] == made[scores.name]
    back = {x.layer: x for x in plan.operations if x.action == "backward"}
    assert back[scores.name].macs == 2 * 2 * scores.macs  # of both factors, for two images
    assert {role for role, _ in back[scores.name].results} == {"input gradient", "input gradient 1"}


REFUSED: dict[str, tuple[Callable[[Tokens, Tensor], Tensor], dict[str, Callable[[], nn.Module]], str]] = {
    "a mask of the input": (
        lambda m, x: F.scaled_dot_product_attention(x, x, x, m.q(x) @ m.k(x).mT), {},
        "got attention with a mask that its input tells",
    ),
    "a mask of images": (
        lambda m, x: m.a(x, x, x, key_padding_mask=torch.zeros(1, TOKENS) > 0)[0], HEADED,
        "got attention with masks of images or heads, wanted one mask (N, N) for all",
    ),
    "a choice by the input": (lambda m, x: torch.where(x > 0, x, 0.0), {}, "the operation 'gt'"),
    "a choice of two maps": (lambda m, x: torch.where(m.seen[:, :1], x, m.q(x)), {"seen": seen}, "'where'"),
    "a fill by a trained number": (
        lambda m, x: x.masked_fill(m.seen[:, :1], m.number), {"seen": seen, "number": number},
        "'masked_fill' by a mask or a number that is not constant",
    ),
    "two sequences": (
        lambda m, x: m.a(x, m.q(x), x)[0], HEADED, "got attention between two sequences",
    ),
    "the batch second": (
        lambda m, x: m.a(x, x, x)[0], {"a": lambda: nn.MultiheadAttention(WIDTH, HEADS)},
        "set batch_first=True",
    ),
    "a sum of more letters": (
        lambda m, x: torch.einsum("bnc,bnc->bn", x, m.q(x))[..., None] * x, {}, "got the sum 'bnc,bnc->bn'",
    ),
    "a softmax over the batch": (lambda m, x: torch.softmax(x, 0), {}, "a softmax along dimension 0"),
    "a matrix of the code": (
        lambda m, x: m.mix @ x, {"mix": learnt(4, TOKENS)},
        "'matmul' with a matrix that stands outside a linear layer",
    ),
    "more queries than tokens": (
        lambda m, x: F.scaled_dot_product_attention(m.queries, x, x), {"queries": learnt(1, 20, WIDTH)},
        "got queries of (20, 8) beside a smaller map of (16, 8)",
    ),
    "a function of a parameter": (
        lambda m, x: x * m.number.exp(), {"number": number}, "got a function of the parameter number",
    ),
    "a division by a parameter": (
        lambda m, x: x / m.number, {"number": number}, "'truediv' of a map by the parameter number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_be_is_refused_in_one_line(name):
    body, modules, message = REFUSED[name]
    with pytest.raises(InputError) as caught:
        from_module(Tokens(body, **{key: make() for key, make in modules.items()}), SHAPE)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
