"""Runs on the same images under another augmentation are other runs; recorded ones keep their keys."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from blockwise import data, models
from blockwise.cli import flags
from blockwise.cli.commands import study_integer, study_precision, study_qat, study_recipe
from blockwise.data.augment import Augment
from blockwise.studies import (
    augmentation,
    integers,
    jobs,
    precision,
    precision_runs,
    qat,
    recipe,
    records,
)
from blockwise.studies.commands import command

RECORDS = Path(__file__).parents[3] / "results" / "studies"
PHOTOS = {
    (16, 0): "075eeaa65c30bf70b7ad24b077928458",
    (16, 1): "c1f322281a879178c8ab53881d2b116d",
    (16, 2): "ae007ae572774d6ad0e71c94dbae6be0",
    (None, 0): "1a0964ad90c1c207379ee2b76da8f061",
    (None, 1): "1571a2dfe9fb7f30906939898b75390a",
    (None, 2): "89c8192db89c930bfc4061e9946b09a1",
}
"""Of CIFAR-10 (JPEG), by image size and seed: fingerprints of what the recorded runs were trained on."""


def photos(_: str, image_size: int | None, seed: int) -> Any:
    """The recorded set without its images: a folder, with the augmentation of folders."""
    shape = (3, image_size or 32, image_size or 32)
    policy = Augment(crop_padding=4 if image_size is None else 2, flip=True)
    return SimpleNamespace(
        fingerprint=PHOTOS[image_size, seed], in_shape=shape, policy=policy, scaling=None,
        classes=tuple(range(10)), name="photos",
    )  # fmt: skip


def jobs_of(words: tuple[str, ...]) -> tuple[jobs.Job, ...]:
    """What the command would train."""

    def parsed(options: Any) -> Any:
        return flags.parse(options, words[2:], prog="", description="")

    match words[1]:
        case "qat":
            asked = parsed(study_qat.QatStudyOptions())
            return qat.jobs(study_qat._space(asked), study_qat._protocol(asked))
        case "recipe":
            asked = parsed(study_recipe.RecipeStudyOptions())
            return recipe.jobs(study_recipe._space(asked), study_recipe._protocol(asked))
        case "integer":
            asked = parsed(study_integer.IntegerStudyOptions())
            space = integers.IntegerSpace(asked.regimes, asked.data, asked.accelerator)
            return integers.jobs(space, study_integer._protocol(asked))
    asked = parsed(study_precision.PrecisionStudyOptions())
    protocol = study_precision._check(asked)
    family = precision_runs.family(asked.model, asked.data, protocol)
    base = protocol.base_width or models.CATALOGUE[asked.model].width
    points = precision.points(family, base, asked.compression, asked.bits)
    return precision_runs.jobs(points, asked.model, asked.data, protocol, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_command_of_every_recorded_run_finds_its_line(path, monkeypatch):
    for module in (jobs, precision_runs):
        monkeypatch.setattr(module, "dataset", photos)
    for has in ("_is_vnni_supported", "_is_avx512_bf16_supported"):  # else --precision bf16 falls back
        monkeypatch.setattr(torch.cpu, has, lambda: True)
    rows = records.read(path)
    assert rows
    # to find the widths of one point takes half a second
    for row in rows[::27] if path.stem.startswith("precision") else rows:
        if row["optimizer"] is not None:  # regimes in float may be recorded in an earlier revision
            monkeypatch.setattr(records, "REVISION", row["revision"])
        found = jobs_of(command(row))
        assert row["key"] in {job.key for job in found} and row["augment"] is None
        assert row in jobs.lines_of(found, rows)


@pytest.fixture
def same_images(tmp_path) -> tuple[jobs.Job, jobs.Job]:
    """A training of the digits by their name, without augmentation, and of the same as arrays, with crops."""
    jobs.dataset.cache_clear()  # images that another test has read know their fingerprint
    named = data.load("digits", seed=0)
    learnt = [np.concatenate([getattr(s, part).numpy() for s in (named.train, named.validation)])
              for part in ("images", "labels")]  # fmt: skip
    tested = [getattr(named.test, part).numpy() for part in ("images", "labels")]
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "digits.npz", **dict(zip(names, (*learnt, *tested), strict=True)))
    config = qat.jobs(qat.QatSpace(("fp32",), model="cnn", source="digits"), qat.PROTOCOLS["full"])[0].config
    own = replace(config, images=replace(config.images, data=str(tmp_path / "digits.npz")))
    return jobs.Job("qat", "full", config), jobs.Job("qat", "full", own)


def line(job: jobs.Job, **other: Any) -> dict[str, Any]:
    """Of a record."""
    images = job.images
    told = {"key": job.key, "augment": job.augment, "data": images.name, "in_shape": images.in_shape}
    return told | job.conditions | other


def test_the_same_images_with_another_augmentation_have_another_key(same_images, monkeypatch, tmp_path):
    named, own = same_images
    assert named.augment == "no augmentation" and own.augment is None
    assert str(own.images.policy) == "crop with 2 pixels of padding"
    monkeypatch.setattr(data.Dataset, "fingerprint", "one")  # arrays are parted in another order
    assert named.images.name == own.images.name == "digits"
    assert named.key != own.key
    for trained, left in ((named, own), (own, named)):
        records.write(tmp_path / "runs.jsonl", [line(trained)])
        assert jobs.missing((named, own), tmp_path / "runs.jsonl") == (left,)


def test_an_older_line_has_the_augmentation_that_its_set_has_by_its_name(same_images, monkeypatch, tmp_path):
    """The key of such a line has none in it, and is the one that an own set has still."""
    named, own = same_images
    monkeypatch.setattr(data.Dataset, "fingerprint", "one")
    for name, trained, left in (("digits", named, own), ("my digits", own, named)):
        older = line(trained, key=own.key, data=name)
        del older["augment"]
        records.write(tmp_path / "runs.jsonl", [older])
        assert jobs.missing((named, own), tmp_path / "runs.jsonl") == (left,)
        rows = records.read(tmp_path / "runs.jsonl")
        assert rows[0]["augment"] == trained.augment
        assert jobs.lines_of([trained], rows) == rows and jobs.lines_of([left], rows) == []


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("cifar10", (3, 32, 32), None),  # as a folder of such photos
        ("cifar10", (3, 16, 16), "crop with 4 pixels of padding, horizontal flip"),
        ("CIFAR-10 (JPEG)", (3, 16, 16), None),
        ("mnist", (1, 28, 28), "no augmentation"),
        ("svhn", (3, 32, 32), "crop with 4 pixels of padding"),
        ("watch", (6, 200),
         "shift by up to 10 steps, turned by up to 25°, scaled by 1 ± 0.1, noise of 2 levels"),
    ],
)  # fmt: skip
def test_an_augmentation_is_told_where_it_is_not_that_of_a_folder(name, shape, told):
    assert augmentation.told_by_name({"data": name, "in_shape": shape}) == told


def test_compiled_steps_have_the_key_of_eager_ones_and_are_told():
    """Both may stand in one table: which they were is a circumstance of the training."""
    eager, compiled = (
        qat.jobs(qat.QatSpace(("fp32",), model="cnn", source="digits", compile=c), qat.PROTOCOLS["short"])[0]
        for c in (False, True)
    )
    assert eager.key == compiled.key and (eager.compiled, compiled.compiled) == (False, True)
    told = command(line(compiled, compiled=True))
    assert jobs_of(told)[0].config.training == compiled.config.training and "--compile" in told
    assert "--compile" not in command(line(eager, compiled=False))
    whole = replace(compiled.config.training, regimes=("niti",))
    assert not replace(compiled, config=replace(compiled.config, training=whole)).compiled
