"""Drawings of other programs as part of a page."""

import re

from markupsafe import Markup


def inline(svg: str, label: str) -> Markup:
    """The ``svg`` element alone: HTML knows its namespaces, and metadata only names web pages."""
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :].strip(), flags=re.DOTALL)
    element = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", element)
    return Markup(element.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))
