"""Write the figures of the README and of docs/results.md from results/, between their begin and end marks.

    python benchmarks/readme.py [--check]

What tables show of a study is drawn as well, into docs/results/.

With ``--check`` nothing is written; the exit code tells whether the documents are up to date.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sections import (
    adapting,
    bf16,
    comparison,
    executors,
    exercises,
    figures,
    firmware,
    firmware_boards,
    integers,
    memory,
    methods,
    mobilenet,
    power,
    recipes,
    rooms,
    speed,
    zeroth_order,
    zoo,
)
from sections.recorded import ROOT

from blockwise.system.files import atomic_write

Sections = Mapping[str, Callable[[], str]]

DOCUMENTS: dict[str, Sections] = {
    "README.md": {"digits": comparison.digits, "full": methods.front},
    "docs/architecture.md": {"rooms": rooms.rooms},
    "docs/firmware.md": {
        "firmware": firmware_boards.firmware,
        "power-cuts": power.cuts,
        "long-run": power.long_run,
    },
    "docs/results.md": {
        "baselines": memory.baselines,
        "executor": memory.executor,
        "executors": executors.executors,
        "cifar": comparison.cifar,
        "cifar-one": comparison.cifar_one,
        "arena": memory.arena,
        "study-memory": memory.study_memory,
        "fit": memory.fit,
        "adapting": adapting.by_recording,
        "adapting-time": adapting.by_time,
        "mobilenet": mobilenet.published,
        "torchvision": zoo.torchvision,
        "timm": zoo.timm,
        "integer": integers.integer,
        "integer-study": integers.integer_study,
        "integer-goal": integers.integer_goal,
        "zeroth-order": zeroth_order.zeroth_order,
        "firmware-kernels": firmware.kernels,
        "board-time": firmware.board_time,
        "methods": methods.methods,
        "all-methods": methods.all_methods,
        "qat": methods.qat,
        "qat-activations": methods.qat_activations,
        "qat-local": methods.qat_local,
        "qat-full": methods.qat_full,
        "recipes": recipes.recipes,
        "quantizers": speed.quantizers,
        "precision": methods.precision,
        "watch": exercises.watch,
        "speed": speed.speed,
        "bf16": bf16.bf16,
    },
}


def fill(document: str, text: str, sections: Sections) -> str:
    """``text`` of ``document`` with every marked section made anew."""
    for name, make in sections.items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        body = make().replace("\\", "\\\\")
        text, found = re.subn(pattern, rf"\1{body}\n\2", text, flags=re.S)
        if found != 1:
            raise SystemExit(f"{document}: section {name!r} stands {found} times, wanted once")
    strangers = set(re.findall("<!-- begin (.*?) -->", text)) - set(sections)
    if strangers:
        raise SystemExit(f"{document}: nothing makes the sections {', '.join(sorted(strangers))}")
    return text


def main() -> int:
    """Write or check."""
    stale = 0
    if "--check" not in sys.argv:
        figures.draw()
    for document, sections in DOCUMENTS.items():
        path: Path = ROOT / document
        text = path.read_text("utf-8")
        filled = fill(document, text, sections)
        stale |= filled != text
        if "--check" not in sys.argv:
            atomic_write(path, filled)
    return int(stale) if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
