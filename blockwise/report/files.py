"""The files of a finished comparison."""

import dataclasses
import os
from pathlib import Path

from blockwise.experiment import result_json as json_report
from blockwise.experiment.result import Result
from blockwise.report.html_report import to_html
from blockwise.report.pictures import PNG_NAME, SVG_NAME, timeline_images
from blockwise.system.files import atomic_write, make_folder

JSON_NAME, HTML_NAME = "result.json", "report.html"
FILES = {"result": JSON_NAME, "report": HTML_NAME, "timeline": SVG_NAME, "timeline (PNG)": PNG_NAME}
"""What -> file name; other modules may have put more into ``Result.files``."""


def named(result: Result) -> Result:
    """The result that names the files of :func:`write_all`."""
    return dataclasses.replace(result, files={**result.files, **FILES})


def write_all(result: Result, out: str | os.PathLike[str]) -> Result:
    """Write every rendering into ``out`` and return the result that names them.

    Everything is drawn before anything is written, each file appears whole or not at all, and
    result.json comes last: where it is new, the others are. Raises WriteError.
    """
    folder = Path(out)
    result = named(result)
    images = timeline_images(result)
    contents: dict[str, bytes | str] = {
        SVG_NAME: images.svg,
        PNG_NAME: images.png,
        HTML_NAME: to_html(result, svg=images.svg),
        JSON_NAME: json_report.dumps(result),
    }
    make_folder(folder, "folder")
    for name, content in contents.items():
        atomic_write(folder / name, content)
    return result
