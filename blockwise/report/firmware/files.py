"""The files of a check, beside its project."""

import json
import os
from dataclasses import replace
from pathlib import Path

from blockwise.firmware.result import FirmwareResult
from blockwise.report.firmware.html_page import page
from blockwise.report.firmware.instructions import figure
from blockwise.report.pictures import draw
from blockwise.system.files import atomic_write

JSON_NAME, HTML_NAME = "result.json", "report.html"
SVG_NAME, PNG_NAME = "instructions.svg", "instructions.png"
NAMES = (JSON_NAME, HTML_NAME, SVG_NAME, PNG_NAME)


def named(result: FirmwareResult) -> FirmwareResult:
    """The result that names the files of :func:`write_all`."""
    files = {"result": JSON_NAME}
    if result.checked is not None:
        files |= {"report": HTML_NAME}
        files |= {"instructions": SVG_NAME, "instructions (PNG)": PNG_NAME} if result.checked.cost else {}
    return replace(result, files=files)


def dumps(result: FirmwareResult) -> str:
    """The versioned JSON text, one trailing newline."""
    return json.dumps(result.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_all(result: FirmwareResult, out: str | os.PathLike[str]) -> FirmwareResult:
    """Write every rendering into the project's folder; result.json comes last. Raises WriteError."""
    folder, result = Path(out), named(result)
    contents: dict[str, bytes | str] = {}
    if result.checked is not None:
        svg, cost = None, result.checked.cost
        heading = f"{result.model.name} under {result.regime} on {result.device.title}"
        if cost is not None:
            images = draw(lambda: figure(cost, heading))
            contents |= {SVG_NAME: images.svg, PNG_NAME: images.png}
            svg = images.svg
        contents[HTML_NAME] = page(heading, result, result.checked, svg)
    for name, content in (contents | {JSON_NAME: dumps(result)}).items():
        atomic_write(folder / name, content)
    return result
