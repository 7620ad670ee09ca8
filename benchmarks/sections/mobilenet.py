"""MobileNetV2 beside the figures of tiny-training and TinyEngine."""

from typing import Any

from devices.boards.profile import KIB
from devices.program import categories as cat
from sections.markdown import table
from sections.recorded import load

ROWS = {
    "full": ("full update, `bp`", "full"),
    "fused": ("full update, `bp-fused`", "full"),
    "best": ("full update, `bp-best`", "full"),
    "sparse": ("their 100 kB scheme, `bp-fused`, the rest in flash", "sparse"),
    "head": ("classifier alone, the rest in flash", ""),
}
NAMES = {
    "weights": "weights in training at 32 bits; theirs have 8, and the classifier's are not counted",
    cat.WEIGHT_GRADIENTS: "weight gradients that wait, or one filter's; theirs step in place",
    "saved": "saved activations: what is freed before the peak or kept beside it",
    cat.WORKING_TENSORS: "working tensors: maps on their way forward and errors at 32 bits on their way back",
    "others": "packed weights, levels and scratch",
}


def published() -> str:
    """results/benchmarks/mobilenet.json: bytes beside published ones, and where they differ."""
    result = load("mobilenet")
    said = result["conditions"]
    counts = ", ".join(
        f"{found['total'] / KIB:.1f} (\N{LEFT DOUBLE QUOTATION MARK}{label}kb\N{RIGHT DOUBLE QUOTATION MARK})"
        for label, found in result["counted"].items()
        if label != "full"
    )
    intro = (
        f"`uv run benchmarks/mobilenet.py`: MobileNetV2 at width {said['width']} on 3x{said['side']}x"
        f"{said['side']}, {said['classes']} classes, without its last convolution, as tiny-training has it "
        f"({result['parameters']:,} parameters, {result['macs'] / 1e6:.1f} M multiply-accumulates), W8A8 "
        "with fixed levels, norms folded in, SGD, one image; KiB. That it is their network shows their rule "
        "of the extra memory of an update (saved inputs and updated weights at 8 bits, masks of 1 bit, "
        f"biases of 32): counted on our trace it gives {counts} KiB for the five schemes in their code. With "
        "torchvision's last convolution, `--model torchvision:mobilenet_v2 --width "
        f"{said['width']}`, `bp` takes {_plan(result, 'torchvision')['peak_bytes'] / KIB:,.1f}."
    )
    return "\n\n".join((intro, _figures(result), _differences(result)))


def _plan(result: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in result["plans"] if row["name"] == name)
    return found


def _figures(result: dict[str, Any]) -> str:
    rows = [
        [row["name"], f"{row['peak_bytes'] / KIB:,.1f}", "-", _cited(result, f"inference{row['side']}")]
        for row in result["inference"]
    ]
    for row in result["plans"]:
        if row["name"] in ROWS:
            words, beside = ROWS[row["name"]]
            kind = {"full": "full", "sparse": "99"}.get(beside, "")
            counted = f"{result['counted'][kind]['total'] / KIB:,.1f}" if kind else "-"
            rows.append([words, f"{row['peak_bytes'] / KIB:,.1f}", counted, _cited(result, beside)])
    return table(["", "program", "extra by their rule", "published"], rows)


def _cited(result: dict[str, Any], beside: str) -> str:
    found = result["published"].get(beside, ())
    return "; ".join(f"{figure} {words} ({source})" for figure, words, source in found) or "-"


def _differences(result: dict[str, Any]) -> str:
    """From their rule to our peak, to the byte."""
    plans = [row for row in result["plans"] if row["name"] in ROWS and ROWS[row["name"]][1]]
    columns = [_steps(result, row) for row in plans]
    lines = [
        [words, *(f"{column[key]:+,}" if key != "total" else f"{column[key]:,}" for column in columns)]
        for key, words in {"start": "extra memory by their rule", **NAMES, "total": "program"}.items()
    ]
    return table(["bytes", *(ROWS[row["name"]][0] for row in plans)], lines)


def _steps(result: dict[str, Any], row: dict[str, Any]) -> dict[str, int]:
    counted = result["counted"]["full" if ROWS[row["name"]][1] == "full" else "99"]
    saved, weights = round(counted["saved"]), round(counted["weights"])
    by = row["by_category"]
    found = {
        "start": saved + weights,
        "weights": by[cat.LATENT_WEIGHTS] - weights,
        cat.WEIGHT_GRADIENTS: by[cat.WEIGHT_GRADIENTS],
        "saved": by[cat.SAVED_ACTIVATIONS] - saved,
        cat.WORKING_TENSORS: by[cat.WORKING_TENSORS],
    }
    found["others"] = row["peak_bytes"] - sum(found.values())
    return found | {"total": row["peak_bytes"]}
