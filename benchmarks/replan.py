"""Plan recorded trainings anew: their peaks are those that the same step has today.

    python benchmarks/replan.py [--only NAME ...] [--record]

What was trained stays as it was recorded. Each line of a study, and each regime of a recorded run, whose
peaks differ is told, with the old and the new ones, and each way to adapt whose peak or estimated time
does; ``--record`` writes them, ``--only`` those of some files. What a training started from stays as it was
planned then. Fails where a network has
other parameters or blocks than the one that was trained.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import output

from blockwise.adapt.campaign import Campaign
from blockwise.adapt.trial import memory
from blockwise.adapt.ways import WAYS
from blockwise.experiment.keywords import config_of
from blockwise.experiment.planned import planned_row
from blockwise.experiment.prepare import prepare
from blockwise.studies import records
from blockwise.studies.lines import peaks_kib
from blockwise.system.files import atomic_write
from blockwise.system.locks import only_writer
from devices.program.regimes import INTEGER_REGIMES, find

PEAKS = ("peak_kib", "peak_kib_of_one", "paged_kib")
"""Of a line: older ones lack the last."""
PASSED_ON = ("model", "width", "norm", "in_shape", "batch_size", "residual")
"""Conditions that are settings by the same names."""
QUANTIZED = ("method", "activation_method", "weight_bits", "activation_bits")
"""Those of float regimes with quantizers; of others the optimizer alone."""


RUNS = ("cifar10_jpeg", "cifar10_jpeg_batch1")
"""Recorded runs whose trainings take hours; of others the command is run again."""
RUN_SETTINGS = ("model", "width", "blocks", "head", "method", "weight_bits", "activation_bits", "batch_size")
TRAINED = ("training", "host", "test_accuracy", "trained_as")
ADAPTED = ("adapt_recording", "adapt_time")
"""Recorded ways to adapt."""


def settings_of(row: dict[str, Any]) -> dict[str, Any]:
    """The settings under which the training of a line is planned."""
    names: tuple[str, ...] = PASSED_ON
    names += () if row["regime"] in INTEGER_REGIMES else (*QUANTIZED, "optimizer")
    names += ("jump_every",) if find(row["regime"]).jumps else ()
    names += ("head", "blocks", "distill", "epochs")
    found = {name: row[name] for name in names if row.get(name) is not None}
    found["bit_chain"] = tuple(row.get("bit_chain") or ())
    if row["method"] == "fp32":
        found = {name: value for name, value in found.items() if name not in QUANTIZED} | {"method": "fp32"}
    classes = row.get("classes", 10)
    return found | {"device": row["board"], "regimes": (row["regime"],), "classes": classes, "dry_run": True}


def peaks(row: dict[str, Any]) -> dict[str, Any]:
    """At the batch size of the training and of one image, the blocks cut as for the former.

    Those that the line has: older ones have none with blocks in flash.
    """
    prepared = prepare(config_of(settings_of(row)))
    if prepared.whole.parameters != row["parameters"]:
        raise SystemExit(f"{row['key']}: {prepared.whole.parameters} parameters, {row['parameters']} trained")
    return {name: value for name, value in peaks_kib(prepared, row["regime"]).items() if name in row}


def replanned(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of ``path`` with the peaks of today, and how many differ."""
    rows, changed = records.read(path), 0
    for row in rows:
        if "peak_kib" not in row:
            continue
        now = peaks(row)
        before = {name: row[name] for name in now}
        if now != before:
            changed += 1
            print(f"{path.name} {row['key']} {row['method']} {row['regime']}: {before} -> {now}")
            row.update(now)
    return rows, changed


def replanned_run(path: Path) -> tuple[dict[str, Any], int]:
    """The recorded run with what is planned today of each regime, and how many regimes differ."""
    result, changed = json.loads(path.read_text("utf-8")), 0
    config, model = result["config"], result["model"]
    chosen = {name: config[name] for name in (*RUN_SETTINGS, "device", "optimizer", "update")}
    told = {"regimes": tuple(config["regimes"]), "in_shape": tuple(model["in_shape"]), "dry_run": True}
    prepared = prepare(config_of(chosen | told | {"classes": model["num_classes"]}))
    blocks = {block.name: sum(x.weights + x.biases for x in block.layers) for block in prepared.whole.blocks}
    if blocks != model["blocks"]:
        raise SystemExit(f"{path.name}: blocks {blocks}, trained {model['blocks']}")
    for row in result["regimes"]:
        now = json.loads(json.dumps(asdict(planned_row(prepared, row["regime"]))))
        told_now = {name: now[name] for name in row if name in now and name not in TRAINED}
        if told_now != {name: row[name] for name in told_now}:
            changed += 1
            print(f"{path.name} {row['regime']}: {row['peak_bytes']:,} -> {now['peak_bytes']:,} bytes")
        row.update(told_now)
    return result, changed


def replanned_ways(path: Path) -> tuple[dict[str, Any], int]:
    """The recorded adaptation with what a step of each way takes today, and how many ways differ."""
    result, changed = json.loads(path.read_text("utf-8")), 0
    campaign = campaign_of(result)
    for row, way in zip(result["rows"], campaign.ways, strict=True):
        person = campaign.people[0]
        prepared = prepare(campaign.config(way, person), campaign.parts(person).person)
        now, steps = memory(prepared, way.regime), row["macs"] / row["macs_per_step"]
        seconds = now.pop("step_seconds")
        if now != {name: row[name] for name in now}:
            changed += 1
            told = ", ".join(f"{name} {row[name]} -> {now[name]}" for name in now if now[name] != row[name])
            print(f"{path.name} {way.name}: {told}")
            row.update(now, macs=round(now["macs_per_step"] * steps), seconds=seconds and seconds * steps)
    return result, changed


def campaign_of(result: dict[str, Any]) -> Campaign:
    """What was asked for: every way, adapted to everybody held out."""
    said, ways = result["conditions"], tuple(WAYS[row["way"]] for row in result["rows"])
    asked = said["settings"]
    return Campaign(
        said["data"], tuple(result["people"]), ways, said["split_by"], asked["network"],
        asked["integer_network"], asked["base"], asked["adapting"], asked["seed"],
    )  # fmt: skip


def main() -> None:
    """Plan, tell, write."""
    parser = output.parser(__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="records by their names, without ending")
    arguments = parser.parse_args()
    only = arguments.only
    for names, again in ((RUNS, replanned_run), (ADAPTED, replanned_ways)):
        for path in (output.file_of(name, record=True) for name in names if not only or name in only):
            result, changed = again(path)
            if changed and arguments.record:
                atomic_write(path, json.dumps(result, indent=1) + "\n")
    for path in sorted((output.ROOT / "results").rglob("*.jsonl")):
        if only and path.stem not in only:
            continue
        with only_writer(path, "--record", "wait for the study that writes it"):
            rows, changed = replanned(path)
            print(f"{path.name}: {changed} of {len(rows)} lines have other peaks")
            if changed and arguments.record:
                records.write(path, rows)


if __name__ == "__main__":
    main()
