"""What the catalogue says of each regime, against its schedules and its training; and that all ask it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import blockwise
import devices
from blockwise import models
from blockwise.integer.arithmetics import ARITHMETICS
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import ALL_REGIMES as PROCEDURES
from blockwise.training.bp import Backpropagation
from blockwise.training.integer import IntegerLocalLearning, IntegerResidentLearning
from blockwise.training.local import LocalLearning
from blockwise.training.local_resident import ResidentLocalLearning
from devices.errors import InputError
from devices.network import Network
from devices.program.categories import OPTIMIZER_STATE
from devices.program.integer import FORMS
from devices.program.ledger import Ledger
from devices.program.regimes import (
    ALL_REGIMES,
    BEST,
    DEFAULT_REGIMES,
    INTEGER_REGIMES,
    LEANEST,
    PLAIN,
    REGIMES,
    Step,
    find,
    schedule,
    update_of,
)  # fmt: skip

STEP = Step(batch=4, micro_batch=2)


def network(blocks: str, head: str = "pred-pooled") -> Network:
    torch.manual_seed(0)
    return models.build("plain4", (1, 8, 8), 10, 8, "none").describe(blocks=blocks, head=head)


def bytes_of(regime: str, network: Network, step: Step = STEP) -> list[tuple[str, int, int]]:
    """The live bytes and the multiply-accumulates of every operation, whatever block it is in."""
    program = schedule(regime, network, step)
    lives = Ledger(program, 8).live_bytes
    return [(o.phase, live, o.macs) for o, live in zip(program.operations, lives, strict=True)]


def test_the_plans_and_the_trainings_are_of_the_same_regimes():
    assert list(PROCEDURES) == list(ALL_REGIMES)
    assert all(procedure.name == name for name, procedure in PROCEDURES.items())
    assert all(regime.name == name for name, regime in ALL_REGIMES.items())
    assert {*DEFAULT_REGIMES, PLAIN, BEST, LEANEST} <= set(ALL_REGIMES)


@pytest.mark.parametrize("regime", ALL_REGIMES)
def test_another_cut_makes_another_step_where_the_catalogue_says_so(regime):
    first, *others = [bytes_of(regime, network(blocks)) for blocks in ("layers", "2", "1")]
    assert any(first != other for other in others) == find(regime).cuts


@pytest.mark.parametrize("regime", ALL_REGIMES)
def test_another_head_makes_another_step_only_of_regimes_with_local_heads(regime):
    heads = [bytes_of(regime, network("layers", head)) for head in ("pred-pooled", "gap")]
    assert (heads[0] != heads[1]) == find(regime).heads


@pytest.mark.parametrize("update", ["end", "fused"])
@pytest.mark.parametrize("regime", [r for r in REGIMES.values() if r.in_one_block], ids=lambda r: r.name)
def test_in_one_block_it_is_the_regime_that_the_catalogue_names(regime, update):
    step = replace(STEP, fused=update == "fused")
    assert bytes_of(regime.name, network("1"), step) == bytes_of(regime.in_one_block, network("1"), step)


@pytest.mark.parametrize("regime", [r for r in REGIMES.values() if r.variant_of], ids=lambda r: r.name)
def test_a_variant_is_the_other_regime_under_its_own_update(regime):
    step = replace(STEP, fused=regime.update == "fused")
    assert bytes_of(regime.name, network("2"), step) == bytes_of(regime.variant_of, network("2"), step)


@pytest.mark.parametrize("regime", REGIMES)
def test_only_regimes_of_micro_batches_look_at_their_size_and_one_is_another_regime(regime):
    sizes = [bytes_of(regime, network("2"), replace(STEP, micro_batch=size)) for size in (1, 4)]
    assert (sizes[0] != sizes[1]) == find(regime).micro_batches
    if find(regime).micro_batches:
        assert sizes[1] == bytes_of(find(regime).in_one_pass, network("2"))


@pytest.mark.parametrize("regime", REGIMES)
def test_the_bytes_that_are_left_change_the_step_where_the_catalogue_says_so(regime):
    limits = [bytes_of(regime, network("2"), replace(STEP, limit_bytes=n)) for n in (None, 1 << 30)]
    assert (limits[0] != limits[1]) == find(regime).looks_at_ram


@pytest.mark.parametrize("regime", ALL_REGIMES)
def test_trainings_pass_the_blocks_as_the_catalogue_says(regime):
    chain = models.build("plain4", (1, 8, 8), 10, 4, "none")
    net = BlockNet(chain, Anatomy(chain, "gap").cut("layers", Step()), "gap")
    found, phases = find(regime), PROCEDURES[regime].phases(net)
    assert (len(phases) > 1) == found.one_by_one
    assert (len({head for phase in phases for head in phase.heads}) == len(net)) == found.heads
    assert isinstance(PROCEDURES[regime], Backpropagation) == found.keeps_batch
    local = LocalLearning | ResidentLocalLearning | IntegerLocalLearning | IntegerResidentLearning
    assert isinstance(PROCEDURES[regime], local) == found.heads


@pytest.mark.parametrize("regime", ALL_REGIMES)
def test_a_step_goes_back_perturbs_and_has_an_optimizer_where_the_catalogue_says_so(regime):
    found, program = find(regime), schedule(regime, network("layers"), STEP)
    phases = {operation.phase for operation in program.operations}
    assert ("backward" in phases) == found.goes_back
    assert any(operation.action == "perturb forth" for operation in program.operations) == found.perturbs
    state = any(t.category == OPTIMIZER_STATE and t.elements > 1 for t in program.tensors.values())
    assert state == (found.has_optimizer and not found.is_integer)


def test_integer_regimes_have_a_form_an_arithmetic_and_a_float_twin_that_cuts_alike():
    for name, regime in ALL_REGIMES.items():
        assert regime.is_integer == (name in INTEGER_REGIMES) == (regime.form is not None)
    for regime in INTEGER_REGIMES.values():
        assert regime.form is FORMS[regime.arithmetic] and regime.arithmetic in ARITHMETICS
        assert REGIMES[regime.float_twin].heads == regime.heads


def test_one_baseline_is_plain_and_its_updates_are_free():
    assert [name for name, regime in ALL_REGIMES.items() if regime.plain] == [PLAIN]
    assert REGIMES[PLAIN].baseline and not REGIMES[PLAIN].fixed_update
    assert [update_of(PLAIN, update) for update in ("end", "fused", None)] == ["end", "fused", "end"]


@pytest.mark.parametrize("name", ["bq", "niti3", "niti16-local"])
def test_what_is_no_regime_is_refused_by_name(name):
    with pytest.raises(InputError, match=name):
        find(name)


# ------------------------------------------------------------------ who asks by name

TAKEN_APART = re.compile(r"regime\.(startswith|endswith|removeprefix|removesuffix|r?partition|r?split)$")
PACKAGES = [Path(str(package.__file__)).parent for package in (blockwise, devices)]
BENCHMARKS = PACKAGES[0].parent / "benchmarks"
EXEMPT = (PACKAGES[1] / "program" / "regimes" / "__init__.py", PACKAGES[0] / "cli")
SOURCES = [
    path for folder in (*PACKAGES, BENCHMARKS) for path in sorted(folder.rglob("*.py"))
    if not any(path.is_relative_to(exempt) for exempt in EXEMPT)
]  # fmt: skip


def names_a_regime(node: ast.expr) -> bool:
    """Whether it is the name of a regime, or a literal collection of such."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return bool(node.elts) and all(map(names_a_regime, node.elts))
    return isinstance(node, ast.Constant) and node.value in ALL_REGIMES


def asked_by_name(tree: ast.Module) -> Iterator[str]:
    """Comparisons with names of regimes, and names of regimes that are taken apart."""
    lists = [node for node in tree.body if isinstance(node, ast.Assign) and names_a_regime(node.value)]
    named = {ast.unparse(x) for node in lists if isinstance(node.value, ast.Tuple) for x in node.targets}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            if any(names_a_regime(x) or ast.unparse(x) in named for x in sides):
                yield ast.unparse(node)
        elif (isinstance(node, ast.MatchValue) and names_a_regime(node.value)) or (
            isinstance(node, ast.Call) and TAKEN_APART.search(ast.unparse(node.func))
        ):
            yield ast.unparse(node)


@pytest.mark.parametrize(
    "line",
    [
        'regime == "bp"', 'row["regime"] != "bp-micro"', 'name in ("local", "local-paged")',
        'regime.startswith("local")', 'self.regime.removesuffix("-local")',
        'WHOLE = ("bp", "bp-fused")\nwhole = r in WHOLE',
    ],
)  # fmt: skip
def test_a_question_by_name_is_seen(line):
    assert list(asked_by_name(ast.parse(line)))


def test_no_source_asks_a_regime_by_its_name():
    found = {str(path): list(asked_by_name(ast.parse(path.read_text("utf-8")))) for path in SOURCES}
    assert not {path: lines for path, lines in found.items() if lines} and len(found) > 200
