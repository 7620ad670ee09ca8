"""What the files of a comparison are called: known before any of them is drawn."""

import dataclasses
import re

from blockwise.experiment.result import Result

JSON_NAME, HTML_NAME = "result.json", "report.html"
SVG_NAME, PNG_NAME = "timeline.svg", "timeline.png"
FILES = {"result": JSON_NAME, "report": HTML_NAME, "timeline": SVG_NAME, "timeline (PNG)": PNG_NAME}
"""What -> file name; other modules may have put more into ``Result.files``."""


ARENA = "addresses of "
"""Before a regime in :attr:`Result.files`: the file of its tensors."""


def named(result: Result, *, arenas: bool = False) -> Result:
    """The result that names the files of :func:`blockwise.report.files.write_all`.

    With ``arenas`` a file with the addresses of each regime's tensors is among them.
    """
    more = {f"{ARENA}{r.regime}": arena_name(r.regime) for r in result.regimes} if arenas else {}
    return dataclasses.replace(result, files={**result.files, **FILES, **more})


def arena_name(regime: str) -> str:
    """The name of the file with a regime's addresses, which any file system takes."""
    return f"arena-{re.sub(r'[^A-Za-z0-9._-]', '-', regime)}.csv"
