"""A console report as one HTML file that needs nothing beside it."""

import html
import io
import re
from dataclasses import dataclass
from string import Template

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

WIDTH = 110
"""Columns of the report in the page."""

# The export writes colours as fixed values, which cannot suit a light and a dark page at once. So
# each of these stands for a CSS variable, and the page defines it once per scheme.
_PLACEHOLDERS = {"ink": (1, 1, 1), "bad": (1, 1, 2), "good": (1, 1, 3), "bar": (1, 1, 4)}
_BLACK, _RED, _GREEN, _BLUE = (_PLACEHOLDERS[name] for name in ("ink", "bad", "good", "bar"))
_THEME = TerminalTheme(
    (201, 201, 201), _BLACK, [_BLACK, _RED, _GREEN, _BLACK, _BLUE, _BLACK, _BLUE, _BLACK]
)  # fmt: skip

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --paper: #ffffff; --ink: #1c1f23; --dim: #5c636b; --good: #1a6b2f; --bad: #a8221c;
        --bar: #005f8f; --line: #d5d9de; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e4e7ea; --dim: #9aa2ab; --good: #6cc481; --bad: #ff8f85;
          --bar: #6bbbe8; --line: #363c43; }
}
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--paper);
       color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; }
p { margin: 0 0 1.5rem; }
figure { margin: 0 0 1.5rem; padding: .75rem; background: #ffffff; border: 1px solid var(--line);
         border-radius: 6px; overflow-x: auto; }
figure svg { display: block; width: 100%; min-width: 40rem; height: auto; }
pre { overflow-x: auto; font: 13px/1.3 ui-monospace, SFMono-Regular, Menlo, Consolas,
      "DejaVu Sans Mono", monospace; }
$styles
</style>
</head>
<body>
<h1>$title</h1>
<p>$verdict</p>
$figure<pre>$report</pre>
</body>
</html>
""")


@dataclass(frozen=True)
class Picture:
    """An SVG document, and what it shows in words."""

    svg: str
    label: str


def page(title: str, verdict: str, picture: Picture | None, report: RenderableType) -> str:
    """A page of a report as the console shows it, with a picture above."""
    styles, text = _exported(report)
    figure = "" if picture is None else f"<figure>\n{_inline(picture)}\n</figure>\n"
    return _PAGE.substitute(
        title=html.escape(title), verdict=html.escape(verdict), styles=styles, figure=figure, report=text
    )


def _exported(report: RenderableType) -> tuple[str, str]:
    """Style rules and marked-up text of a console report."""
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, force_jupyter=False,
        color_system="truecolor", no_color=False, legacy_windows=False, highlight=False,
    )  # fmt: skip
    console.print(report)
    text = console.export_html(theme=_THEME, code_format="{stylesheet}\0{code}")
    styles, _, code = text.partition("\0")
    for name, rgb in _PLACEHOLDERS.items():
        styles = styles.replace("#{:02x}{:02x}{:02x}".format(*rgb), f"var(--{name})")
    return _dimmed(styles), "\n".join(line.rstrip() for line in code.splitlines())


def _dimmed(styles: str) -> str:
    """Dim text is exported as a blend of two placeholders, the only colour left over."""
    return re.sub(r"color: #[0-9a-f]{6}", "color: var(--dim)", styles)


def _inline(picture: Picture) -> str:
    """The ``svg`` element alone: HTML knows its namespaces, and metadata only names web pages."""
    element = picture.svg[picture.svg.index("<svg") :].strip()
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    element = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", element)
    return element.replace("<svg", f'<svg role="img" aria-label="{picture.label}"', 1)
