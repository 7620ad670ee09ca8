"""The record of MobileNetV2: the published rule gives the published labels, and every difference adds up."""

import json
from pathlib import Path

RECORD = json.loads(
    (Path(__file__).parents[2] / "results" / "benchmarks" / "mobilenet.json").read_text("utf-8")
)


def test_the_rule_of_tiny_training_gives_its_own_labels_on_our_trace():
    counted = {label: row["total"] // 1024 for label, row in RECORD["counted"].items() if label != "full"}
    assert counted == {label: float(label) for label in ("49", "73", "99", "123", "138")}
    assert round(RECORD["macs"] / 1e6) == 17 and round(RECORD["parameters"] / 1e6, 1) == 0.3


def test_what_inference_takes_is_what_mcunet_counts():
    # of 48 channels at 72x72 and, behind the depthwise convolution, at 36x36
    found = next(row for row in RECORD["inference"] if row["side"] == 144)
    assert found["peak_bytes"] - 16 == 48 * (72 * 72 + 36 * 36)
    assert found["peak_bytes"] // 1024 == 303
