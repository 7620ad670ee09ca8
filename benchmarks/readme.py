"""Write the README's figures from results/*.json, between its begin and end marks.

    python benchmarks/readme.py [--check]

With ``--check`` nothing is written; the exit code tells whether the README is up to date.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blockwise.files import atomic_write

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def load(name: str) -> dict[str, Any]:
    """A file of results/."""
    data: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text("utf-8"))
    return data


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def kib(count: int) -> str:
    """Bytes as KiB."""
    return f"{count / 1024:,.1f}"


def comparison(name: str, *, timed: bool = False) -> str:
    """Memory and accuracy of a recorded run, with its conditions and, on request, its duration."""
    result = load(name)
    regimes = result["regimes"]
    batches = list(regimes[0]["peak_by_batch"])
    rows = [
        ["peak, KiB", *(kib(r["peak_bytes"]) for r in regimes)],
        ["on the board", *("fits" if r["fits"] else "does not fit" for r in regimes)],
        ["bp : regime", *(f"{regimes[0]['peak_bytes'] / r['peak_bytes']:.2f}x" for r in regimes)],
        *([f"at batch {b}", *(kib(r["peak_by_batch"][b]) for r in regimes)] for b in batches),
    ]
    rows.append(["test accuracy", *(f"{r['test_accuracy']:.1%}" for r in regimes)])
    rows.append(["validation, best epoch", *(_validation(r["training"]) for r in regimes)])
    header = ["", *(f"`{r['regime']}`" for r in regimes)]
    duration = f" Planning and training took {result['seconds']:.0f} s." if timed else ""
    return f"{_conditions(result)}{duration}\n\n{table(header, rows)}"


def _validation(training: dict[str, Any]) -> str:
    return f"{training['validation_accuracy']:.1%}, {training['best_epoch']} of {training['epochs']}"


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
        f"images. torch {host['torch']}, {host['threads']} threads of {host['processor']}, "
        f"{host['accelerator']}."
    )


def speed() -> str:
    """Step times and ratios of benchmarks/step_time.py."""
    result = load("step_time")
    conditions = result["conditions"]
    intro = (
        f"`uv run benchmarks/step_time.py --compile`: ResNet-20 at width 16, batch {conditions['batch']}, "
        f"{'x'.join(map(str, conditions['shape']))}, 10 blocks, {conditions['threads']} threads of "
        f"{conditions['processor']}, torch {conditions['torch']}; medians of {conditions['rounds']} "
        "interleaved rounds, ratios within a round. The plain loop uses PyTorch's default layout, ours "
        "channels last."
    )
    batch = conditions["batch"]
    rows = [[name, f"{s * 1e3:,.1f}", f"{batch / s:,.0f}"] for name, s in result["seconds"].items()]
    ratios = [[name, f"{value:.3f}"] for name, value in result["ratios"].items()]
    return "\n\n".join((intro, table(["step", "ms", "images/s"], rows), table(["ratio", "median"], ratios)))


SECTIONS: dict[str, Callable[[], str]] = {
    "digits": lambda: comparison("digits", timed=True),
    "cifar": lambda: comparison("cifar10_jpeg"),
    "cifar-one": lambda: memory_only("cifar10_jpeg_batch1"),
    "speed": speed,
}


def fill(text: str) -> str:
    """``text`` with every marked section made anew."""
    for name, make in SECTIONS.items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        body = make().replace("\\", "\\\\")
        text, found = re.subn(pattern, rf"\1{body}\n\2", text, flags=re.S)
        if found != 1:
            raise SystemExit(f"README.md: section {name!r} stands {found} times, wanted once")
    return text


def main() -> int:
    """Write or check."""
    text = README.read_text("utf-8")
    filled = fill(text)
    if "--check" in sys.argv:
        return int(filled != text)
    atomic_write(README, filled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
