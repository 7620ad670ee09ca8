"""Keep a finished run's figures in results/benchmarks/, without its timeline and without local paths.

    python benchmarks/record.py RUN_FOLDER NAME ["name of the data"]

writes NAME.json from RUN_FOLDER/result.json, and its picture of the memory to NAME.png.
"""

import json
import sys
from pathlib import Path
from typing import Any

import output

from blockwise.report.file_names import PNG_NAME
from blockwise.system.files import atomic_write

BULKY = ("timeline", "tensors_at_peak", "tensors", "layers")
"""Of a regime."""
ELSEWHERE = ("boards", "everywhere", "changes", "files")
"""What other boards and settings would take, and where files lie: told with the run's own arguments."""


def slim(result: dict[str, Any], data_name: str | None) -> dict[str, Any]:
    """The result without what can be computed again at any time."""
    for regime in result["regimes"]:
        for bulky in BULKY:
            regime.pop(bulky, None)
    result = {name: value for name, value in result.items() if name not in ELSEWHERE}
    result["config"]["data"] = result["data"]["name"] = data_name or result["data"]["name"]
    return result


def main(arguments: list[str]) -> None:
    """Read, slim, write."""
    folder, name, *data_name = arguments
    result = json.loads((Path(folder) / "result.json").read_text("utf-8"))
    text = json.dumps(slim(result, data_name[0] if data_name else None), indent=1)
    atomic_write(output.ROOT / output.RECORDS / f"{name}.json", text + "\n")
    atomic_write(output.ROOT / output.RECORDS / f"{name}.png", (Path(folder) / PNG_NAME).read_bytes())


if __name__ == "__main__":
    main(sys.argv[1:])
