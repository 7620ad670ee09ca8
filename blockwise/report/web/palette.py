"""The colours of the page and of categories, in two schemes; categories have 3:1 or more (WCAG 1.4.11)."""

from dataclasses import dataclass

from devices.program.categories import (
    LATENT_WEIGHTS,
    NORM_AND_QUANTIZER,
    OPTIMIZER_STATE,
    PACKED_WEIGHTS,
    SAVED_ACTIVATIONS,
    SCRATCH,
    WEIGHT_GRADIENTS,
    WORKING_TENSORS,
)


@dataclass(frozen=True)
class Scheme:
    """Colours by the name of their CSS variable."""

    paper: str  # the page
    raised: str  # cards, tables, drawings
    ink: str
    dim: str
    line: str
    good: str
    bad: str
    link: str


LIGHT = Scheme("#f6f7f9", "#ffffff", "#1c1f23", "#555c65", "#d5d9de", "#1a6b2f", "#a8221c", "#005a9c")
DARK = Scheme("#101316", "#191d21", "#e4e7ea", "#a5adb6", "#3a4149", "#6cc481", "#ff8f85", "#7cc0f0")

CATEGORY_COLOURS: dict[str, tuple[str, str]] = {
    PACKED_WEIGHTS: ("#00558a", "#4a9fd8"),
    NORM_AND_QUANTIZER: ("#c04a00", "#ff8a4d"),
    LATENT_WEIGHTS: ("#2f94c9", "#a3d8f7"),
    OPTIMIZER_STATE: ("#b37400", "#f0b23c"),
    WEIGHT_GRADIENTS: ("#b0508f", "#e39ac8"),
    SAVED_ACTIVATIONS: ("#00795a", "#2fbf94"),
    WORKING_TENSORS: ("#6c7d00", "#e6dc55"),
    SCRATCH: ("#737880", "#9aa1a9"),
}
"""Light, dark: the hues of Okabe and Ito (2008), "Color Universal Design", in the order of the stack."""

OTHER_COLOUR = ("#5b5b8a", "#b3b3e6")


def css() -> str:
    """The variables of both schemes; the stylesheet says when each of them holds."""
    dark = _variables(DARK, 1)
    return (
        f":root {{ color-scheme: light dark; {_variables(LIGHT, 0)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def _variables(scheme: Scheme, column: int) -> str:
    named = {name: getattr(scheme, name) for name in Scheme.__dataclass_fields__}
    named |= {f"c{number}": pair[column] for number, pair in enumerate(CATEGORY_COLOURS.values())}
    named["other"] = OTHER_COLOUR[column]
    return " ".join(f"--{name}: {colour};" for name, colour in named.items())


def variable(category: str) -> str:
    """The name of the CSS variable that fills a category."""
    names = list(CATEGORY_COLOURS)
    return f"c{names.index(category)}" if category in names else "other"
