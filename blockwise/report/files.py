"""The files of a finished comparison."""

import os
from pathlib import Path

from blockwise.experiment import result_json as json_report
from blockwise.experiment.result import Result
from blockwise.report.arena_csv import arena_csv
from blockwise.report.drawing import Drawing
from blockwise.report.file_names import ARENA, HTML_NAME, JSON_NAME, PNG_NAME, SVG_NAME, named
from blockwise.report.web import to_html
from blockwise.system.files import atomic_write, make_folder


def write_all(result: Result, out: str | os.PathLike[str], drawing: Drawing | None = None) -> Result:
    """Write every rendering into ``out``, the picture of ``drawing``, and return the result that names them.

    Everything is drawn before anything is written, each file appears whole or not at all, and
    result.json comes last: where it is new, the others are. Raises WriteError.
    """
    folder = Path(out)
    result = named(result)
    contents: dict[str, bytes | str] = {HTML_NAME: to_html(result)}
    for regime in result.regimes:
        name = result.files.get(f"{ARENA}{regime.regime}")
        if name is not None:
            contents[name] = arena_csv(regime)
    last = json_report.dumps(result)
    images = (drawing or Drawing()).of(result)
    contents |= {SVG_NAME: images.svg, PNG_NAME: images.png, JSON_NAME: last}
    make_folder(folder, "folder")
    for name, content in contents.items():
        atomic_write(folder / name, content)
    return result
