"""Candidates: every program once, and none that cannot be trained."""

from collections import Counter
from dataclasses import replace

import pytest

from blockwise.fit.measure import Limits, step_of
from blockwise.fit.networks import Atlas, Model, merged, survey
from blockwise.fit.space import Candidate, Space, candidates, sample
from devices.errors import InputError
from devices.program.regimes import REGIMES, schedule

MODEL = Model("cnn", 4, (1, 8, 8))
SPACE = Space(
    heads=("gap", "lookahead:8", "sim"), norms=("batch", "group"), batches=(1, 4), bits=((3, 3), (32, 32)),
    micro_batches=(1, 2, 8), blocks=("stages", "residual", "layers", "1", "2", "auto"),
)  # fmt: skip


def atlas_of(space: Space, model: Model = MODEL) -> Atlas:
    heads = dict.fromkeys(("gap", *space.heads))
    return merged(survey(model, n, h, space.blocks, space.reference) for n in space.norms for h in heads)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return atlas_of(SPACE)


@pytest.fixture(scope="module")
def found(atlas) -> list[Candidate]:
    return list(candidates(SPACE, atlas))


@pytest.mark.slow
def test_no_two_candidates_are_the_same_program(atlas, found):
    limits = Limits(2**20, 0, 8)
    programs = Counter()
    for candidate in found:
        if candidate.regime != "bp-best" and candidate.optimizer != "adam":
            program = schedule(
                candidate.regime, atlas.networks[candidate.key], step_of(candidate, MODEL, limits)
            )
            programs[program.operations, tuple(program.tensors.items())] += 1
    assert len(programs) > 200
    assert max(programs.values()) == 1


def test_nothing_is_left_out_but_what_makes_no_difference(atlas, found):
    """Of every combination there is one candidate with the same network, step and regime; or it is bp."""
    for regime in ("local", "bp-checkpoint"):
        for head in SPACE.heads:
            for blocks in SPACE.blocks:
                key = atlas.same["batch", head if regime == "local" else None, blocks]
                name = regime if key.blocks else "bp"
                wanted = Candidate(name, key.blocks, key.head, "batch", 4, "adam", 3, 3, "end", None)
                assert wanted in found


def test_baselines_have_no_heads_and_only_checkpoints_are_cut(found):
    for candidate in found:
        if REGIMES[candidate.regime].baseline:
            assert candidate.head is None
        if candidate.regime in ("bp", "bp-fused", "bp-best", "bp-micro"):
            assert candidate.blocks is None
        if REGIMES[candidate.regime].fixed_update:
            assert candidate.update == REGIMES[candidate.regime].update
        assert (candidate.micro_batch is not None) == (candidate.regime == "bp-micro")
    assert {c.blocks for c in found if c.regime == "bp-checkpoint"} == {"stages", "2"}


def test_zeroth_order_is_searched_where_it_is_asked_for_once_whatever_the_optimizer(found):
    assert not [c for c in found if REGIMES[c.regime].perturbs]
    space = replace(SPACE, regimes=("zo", "zo-hybrid"), norms=("group",), batches=(4,), bits=((3, 3),))
    kept = list(candidates(space, atlas_of(space)))
    assert [c.optimizer for c in kept if c.regime == "zo"] == ["sgd"]
    hybrids = [c for c in kept if c.regime == "zo-hybrid"]
    assert {c.optimizer for c in hybrids} == set(space.optimizers)
    assert {c.head for c in hybrids} == {None} and len({c.blocks for c in hybrids}) > 1


def test_bp_fused_and_bp_best_are_not_listed_under_other_names(found):
    assert not [c for c in found if c.regime == "bp" and c.update == "fused"]
    assert {c.micro_batch for c in found if c.regime == "bp-micro"} == {1, 2}
    alone = Space(("bp", "bp-micro"), batches=(2,), micro_batches=(2, 4), updates=("fused",))
    kept = list(candidates(alone, atlas_of(replace(alone, blocks=("2",)))))
    assert {(c.regime, c.update, c.micro_batch) for c in kept} == {
        ("bp", "fused", None), ("bp-micro", "end", 2)
    }  # fmt: skip


def test_single_images_are_left_out_where_images_are_compared(found):
    assert {c.batch for c in found if c.head == "sim"} == {4}
    assert {c.batch for c in found if c.head == "gap"} == {1, 4}
    flat = Space(("bp", "bp-micro"), norms=("batch", "group"), batches=(1, 4), micro_batches=(1, 2))
    flat = replace(flat, blocks=("2",), heads=("gap",))
    kept = candidates(flat, atlas_of(flat, Model("mlp", 8, (1, 4, 4))))
    smallest = {(c.norm, c.batch, c.micro_batch) for c in kept}
    assert smallest == {
        ("batch", 4, None), ("batch", 4, 2), ("group", 1, None), ("group", 4, None), ("group", 1, 1),
        ("group", 4, 1), ("group", 4, 2),
    }  # fmt: skip


def test_a_sample_is_even_and_always_the_same(found):
    some = sample(found, 100)
    assert 90 < len(some) <= 100
    assert some == sample(found, 100) != sample(found, 100, seed=1)
    assert [c for c in found if c in set(some)] == some
    assert {c.optimizer for c in some} == set(SPACE.optimizers)
    assert sample(found, len(found)) == found
    assert len(sample(found, 2)) == 2
    counts = Counter(c for seed in range(60) for c in sample(found, len(found) // 2, seed))
    assert len(counts) == len(found)
    assert max(counts.values()) < 50 and min(counts.values()) > 10


@pytest.mark.parametrize(
    ("axis", "values", "words"),
    [
        ("regimes", ("bq",), "regime"),
        ("heads", ("lookahed:8",), "did you mean 'lookahead'"),
        ("norms", ("bach",), "did you mean 'batch'"),
        ("optimizers", ("sgd-m",), "optimizer"),
        ("updates", ("auto",), "--update"),
        ("batches", (0, 4), "at least 1"),
        ("micro_batches", (), "--micro-batch: got no value"),
        ("bits", ((3, 3), (3, 3)), "different values"),
    ],
)
def test_axes_are_checked(axis, values, words):
    with pytest.raises(InputError, match=words):
        Space(**{axis: values})


def test_a_micro_batch_of_one_left_over_is_no_candidate_where_images_are_compared():
    space = Space(
        regimes=("bp-micro", "bp"), blocks=("1",), heads=("gap",), norms=("batch", "group"), batches=(4, 5),
        optimizers=("sgd",), bits=((3, 3),), updates=("end",), micro_batches=(1, 2, 3, 4),
    )  # fmt: skip
    found = candidates(space, atlas_of(space, Model("mlp", 4, (1, 8, 8))))
    sizes = {(c.norm, c.batch, c.micro_batch) for c in found if c.regime == "bp-micro"}
    assert {(b, m) for norm, b, m in sizes if norm == "batch"} == {(4, 2), (4, 4), (5, 3)}
    assert {(b, m) for norm, b, m in sizes if norm == "group"} == {
        (b, m) for b in (4, 5) for m in (1, 2, 3, 4)
    }
