"""Recorded runs of the default command: memory and accuracy, regime by regime."""

from collections.abc import Collection
from typing import Any

from blockwise.statistics.shares import wilson
from devices.program.regimes import find
from sections.markdown import kib, table
from sections.recorded import load, threads

FRONT_BATCHES = ("1", "128")


def digits() -> str:
    """The default command, with the picture of its memory."""
    picture = "![memory of every regime over one training step](results/benchmarks/digits.png)"
    return f"{comparison('digits', timed=True, batches=FRONT_BATCHES)}\n\n{picture}"


def cifar() -> str:
    """CIFAR-10 at the size of its training."""
    return comparison("cifar10_jpeg")


def cifar_one() -> str:
    """The same network, one image at a time."""
    return memory_only("cifar10_jpeg_batch1")


def comparison(name: str, *, timed: bool = False, batches: Collection[str] = ()) -> str:
    """Memory and accuracy of a recorded run, with its conditions and, on request, its duration.

    Peaks are those of all batches that it was planned for, or of ``batches``.
    """
    result = load(name)
    regimes = result["regimes"]
    planned = sorted({batch for r in regimes for batch in r["peak_by_batch"]}, key=int)
    rows = [
        ["peak, KiB", *(kib(r["peak_bytes"]) for r in regimes)],
        ["on the board", *("fits" if r["fits"] else "does not fit" for r in regimes)],
        ["bp : regime", *(f"{regimes[0]['peak_bytes'] / r['peak_bytes']:.2f}x" for r in regimes)],
        *_best_baseline(result),
        *([f"at batch {b}", *(_at(r, b) for r in regimes)] for b in batches or planned),
    ]
    rows.append(["test accuracy", *(_accuracy(r) for r in regimes)])
    rows.append(["95% interval", *(_interval(r, result["data"]["test"]) for r in regimes)])
    rows.append(["validation, best epoch", *(_validation(r["training"]) for r in regimes)])
    rows.append(["epochs", *(_epochs(r, result) for r in regimes)])
    rows.append(["work : bp", *(f"{r['macs_per_step'] / _plain_macs(result):.2f}x" for r in regimes)])
    header = ["", *(f"`{r['regime']}`" for r in regimes)]
    duration = f" Planning and training took {result['seconds']:.0f} s." if timed else ""
    return f"{_conditions(result)}{duration}\n\n{table(header, rows)}"


def _at(regime: dict[str, Any], batch: str) -> str:
    """The peak at another batch size; "-" where the regime cannot be trained at it."""
    peak = regime["peak_by_batch"].get(batch)
    return "-" if peak is None else kib(peak)


def _best_baseline(result: dict[str, Any]) -> list[list[str]]:
    """The row that compares with the best form of backpropagation, if the record has it."""
    if "baselines" not in result:
        return []
    best = min((b for b in result["baselines"] if not b.get("obstacle")), key=lambda row: row["peak_bytes"])
    ratios = (f"{best['peak_bytes'] / r['peak_bytes']:.2f}x" for r in result["regimes"])
    return [[f"best bp (`{best['regime']}`, {kib(best['peak_bytes'])}) : regime", *ratios]]


def _accuracy(regime: dict[str, Any]) -> str:
    same = regime.get("trained_as")
    return f"{regime['test_accuracy']:.1%}" + (f" (= `{same}`)" if same else "")


def _interval(regime: dict[str, Any], images: int) -> str:
    low, high = wilson(regime["test_accuracy"], images)
    return f"{100 * low:.1f} to {high:.1%}"


def _validation(training: dict[str, Any]) -> str:
    accuracy = training["validation_accuracy"]
    shown = "-" if accuracy is None else f"{accuracy:.1%}"
    return f"{shown}, {training['best_epoch']} of {training['epochs']}"


def _epochs(regime: dict[str, Any], result: dict[str, Any]) -> str:
    """Of each block in turn, or of all at once."""
    one_by_one = find(regime["regime"]).one_by_one
    blocks = regime["training"].get("phases", len(result["model"]["blocks"]) if one_by_one else 1)
    epochs = str(regime["training"]["epochs"])
    return f"{blocks} x {epochs}" if blocks > 1 else epochs


def _plain_macs(result: dict[str, Any]) -> int:
    """Of a step of bp."""
    macs: int = next(r["macs_per_step"] for r in result["regimes"] if find(r["regime"]).plain)
    return macs


def memory_only(name: str) -> str:
    """Peaks of a recorded dry run at its own batch size."""
    result = load(name)
    header = ["", *(f"`{r['regime']}`" for r in result["regimes"])]
    rows = [
        ["peak, KiB", *(kib(r["peak_bytes"]) for r in result["regimes"])],
        ["on the board", *("fits" if r["fits"] else "does not fit" for r in result["regimes"])],
    ]
    batch, model = result["config"]["batch_size"], result["model"]
    text = (
        f"Batch {batch}, head {model['head']}, {len(model['blocks'])} blocks balanced for it; network, bits "
        "and optimizer as above."
    )
    return f"{text}\n\n{table(header, rows)}"


def _conditions(result: dict[str, Any]) -> str:
    config, model, data, host = (result[key] for key in ("config", "model", "data", "environment"))
    device = result["device"]
    return (
        f"{device['title']}, {kib(device['ram_bytes'])} KiB of RAM; {model['name']} at width "
        f"{model['width']} ({model['parameters']:,} parameters), {len(model['blocks'])} blocks, head "
        f"{model['head']}; {config['method']}, W{config['weight_bits']}A{config['activation_bits']}, "
        f"{config['optimizer']}, peak learning rate {config['lr']}, batch {config['batch_size']}, "
        f"{config['epochs']} epochs (of each block in `local-resident`). {data['name']}: "
        f"{data['train']:,} training, {data['validation']:,} validation, {data['test']:,} test images; "
        f"{data['augmentation']}. Seed {result['seed']}, n = 1; the epoch is chosen on the validation "
        f"images, of equal ones the latest; the interval is that of the test images alone (Wilson), another "
        f"seed may lie outside. torch {host['torch']}, {threads(host)} of {host['processor']}, "
        f"{host['accelerator']}."
    )
