"""The files of the pages: templates, styles, scripts and the charting library."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

LIBRARY = "vendor/echarts.min.js"


@cache
def environment() -> Environment:
    """The templates; what is put into them is escaped unless it is marked."""
    return Environment(
        loader=PackageLoader("blockwise.report.web"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


@cache
def asset(name: str) -> Markup:
    """A file of the package, as it stands. Nothing in it ends a script or a style."""
    return Markup(files("blockwise.report.web").joinpath("static", *name.split("/")).read_text("utf-8"))
