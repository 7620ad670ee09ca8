"""What the files of a comparison are called: known before any of them is drawn."""

import dataclasses

from blockwise.experiment.result import Result

JSON_NAME, HTML_NAME = "result.json", "report.html"
SVG_NAME, PNG_NAME = "timeline.svg", "timeline.png"
FILES = {"result": JSON_NAME, "report": HTML_NAME, "timeline": SVG_NAME, "timeline (PNG)": PNG_NAME}
"""What -> file name; other modules may have put more into ``Result.files``."""


def named(result: Result) -> Result:
    """The result that names the files of :func:`blockwise.report.files.write_all`."""
    return dataclasses.replace(result, files={**result.files, **FILES})
