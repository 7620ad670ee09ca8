"""The command that trains a recorded run again; images in a folder are named by whoever has them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from blockwise.data.aeon_sets import PREFIX as AEON
from blockwise.data.sources import SOURCES
from blockwise.quant.precision import FLOAT32
from blockwise.studies import integers, qat, recipe
from devices.program.regimes import find

Row = Mapping[str, Any]


def command(row: Row) -> tuple[str, ...]:
    """Words behind ``run.py``. Raises KeyError for a study that trains no runs of its own."""
    return ("study", row["study"], *_images(row), *choices(row))


def choices(row: Row) -> tuple[str, ...]:
    """Those of them that say what is trained, whatever the images. Raises KeyError as :func:`command`."""
    return ("--preset", row["protocol"], *COMMANDS[row["study"]](row))


PATH = "PATH"
"""Of one's own files, whose place a record does not tell."""


def _images(row: Row) -> list[str]:
    """The set, and what it is called where that is not the set's own name."""
    name = row.get("data", "")
    known = name if name in SOURCES else PATH  # older lines tell no more
    source = row.get("source", known) or PATH
    called = ["--data-name", name] if name and name != source.removeprefix(AEON) else []
    return ["--data", source, *called]


def _qat(row: Row) -> list[str]:
    words = ["--methods", row["method"], "--regimes", row["regime"]]
    if find(row["regime"]).heads:
        words += ["--heads", row["head"], "--blocks", row["blocks"]]
    if row["activation_method"] != row["method"]:
        words += ["--activation-method", row["activation_method"]]
    bits = ["--weight-bits", row["weight_bits"], "--activation-bits", row["activation_bits"]]
    words += [*bits, "--residual", row["residual"], "--model", row["model"], *_other(row), *_compiled(row)]
    if row["precision"] != FLOAT32:
        words += ["--precision", row["precision"]]
    return [str(word) for word in (*words, "--epochs", row["epochs"], "--seeds", row["seed"])]


def _other(row: Row) -> list[object]:
    """Width and updates other than the preset's."""
    preset = qat.PROTOCOLS[row["protocol"]]
    updates = row if row["optimizer"] else {**row, "optimizer": preset.optimizer}  # where a regime has none
    words, rate = _changed(updates, preset, "width", "optimizer"), row["learning_rate"]
    usual = replace(preset, optimizer=updates["optimizer"]).learning_rate
    return words if rate in (usual, None) else [*words, "--lr", rate]


def _integer(row: Row) -> list[str]:
    words = ["--regimes", row["regime"]]
    words += ["--jump-every", row["jump_every"]] if find(row["regime"]).jumps else []
    changed = _changed(row, integers.PROTOCOLS[row["protocol"]], "model", "width", "batch_size")
    return [str(word) for word in (*words, *changed, "--epochs", row["epochs"], "--seeds", row["seed"])]


def _changed(row: Row, preset: object, *names: str) -> list[object]:
    """What was asked for instead of what the preset has."""
    flags = {name: f"--{name.replace('_', '-')}" for name in names}
    return [
        x for name, flag in flags.items() if row[name] != getattr(preset, name) for x in (flag, row[name])
    ]


def _precision(row: Row) -> list[str]:
    words = ["--compression", row["compression"], "--bits", row["bits"], "--model", row["model"]]
    return [str(word) for word in (*words, "--seeds", row["seed"])]


def _recipe(row: Row) -> list[str]:
    own = recipe.recipe_of(row)
    words = ["--regimes", own.regime, "--blocks", own.blocks, "--heads", own.head, "--bits", own.bits]
    words += ["--bit-chains", "-".join(map(str, own.bit_chain)) or "none", "--model", row["model"]]
    words += _changed(row, recipe.PROTOCOLS[row["protocol"]], "width")
    words += ["--last-epochs", own.last_epochs] if own.last_epochs > 1 else []
    words += ["--inits", own.init] if own.init else []
    words += ["--distill", own.distill] if own.distill else []
    words += ["--skip-heads", own.skip_heads] if own.skip_heads else []
    words += [] if row["method"] == "fp32" else ["--method", row["method"]]
    words += _compiled(row)
    if row["precision"] != FLOAT32:
        words += ["--precision", row["precision"]]
    return [str(word) for word in (*words, "--epochs", row["epochs"], "--seeds", row["seed"])]


def _compiled(row: Row) -> list[str]:
    return ["--compile"] if row.get("compiled") else []


COMMANDS: dict[str, Callable[[Row], list[str]]] = {
    "qat": _qat, "integer": _integer, "precision": _precision, "recipe": _recipe,
}  # fmt: skip
"""By study: an integer study trains float32 and LSQ under one regime."""
