"""A packed arena as a picture: time to the right, addresses upwards, one box per buffer."""

import colorsys
from xml.sax.saxutils import escape

from devices.memory.arena.buffers import Arena, Buffer

WIDTH, HEIGHT = 1000, 600
"""Of the plot itself, in pixels."""
LEFT, TOP, RIGHT, BOTTOM = 90, 40, 170, 50
CHARACTER = 6.2
"""Width of a letter of a label; a box that is too small for its name has it as a tooltip only."""
LABEL_HEIGHT = 12
HUES, SATURATION = (205, 30, 130, 275, 350, 55, 175, 310), 0.55
"""Neighbours in the list of buffers differ in colour; the colours mean nothing else."""


def svg(arena: Arena, capacity: int | None = None) -> str:
    """An SVG document. Lines mark the lower bound, the height and ``capacity`` (bytes)."""
    boxes = [b for b in arena.buffers if not b.empty]
    first = min((b.lower for b in boxes), default=0)
    last = max((b.upper for b in boxes), default=1)
    top = max(arena.height, capacity if capacity is not None and capacity <= 2 * arena.height else 0, 1)
    scale = _Scale(first, last, top)
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="#f6f6f6"/>',
        *(_box(i, b, arena.offsets[b.name], scale) for i, b in enumerate(boxes)),
        *_marks(arena, capacity, scale),
        *_axes(scale),
    ]
    size = f'width="{LEFT + WIDTH + RIGHT}" height="{TOP + HEIGHT + BOTTOM}"'
    style = "text{font:11px sans-serif}.b{stroke:#333;stroke-width:.4}.m{stroke-width:1.5;fill:none}"
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{style}</style>\n{body}\n</svg>\n'


class _Scale:
    """From time and address to pixels."""

    def __init__(self, first: int, last: int, top: int) -> None:
        self.first, self.last, self.top = first, last, top

    def x(self, time: float) -> float:
        return LEFT + (time - self.first) / (self.last - self.first) * WIDTH

    def y(self, address: float) -> float:
        return TOP + (1 - address / self.top) * HEIGHT


def _box(index: int, buffer: Buffer, offset: int, scale: _Scale) -> str:
    x, y = scale.x(buffer.lower), scale.y(offset + buffer.size)
    width, height = scale.x(buffer.upper) - x, scale.y(offset) - y
    name = escape(buffer.name)
    hint = f"{name}: {buffer.size} bytes at {offset}, alive in [{buffer.lower}, {buffer.upper})"
    fill = _colour(HUES[index % len(HUES)], 0.68 + 0.04 * (index // len(HUES) % 4))
    label = ""
    if width >= CHARACTER * (len(buffer.name) + 1) and height >= LABEL_HEIGHT:
        label = f'<text x="{x + 3:.2f}" y="{y + height / 2 + 4:.2f}">{name}</text>'
    box = f'<rect class="b" x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{fill}">'
    return f"{box}<title>{hint}</title></rect>{label}"


def _colour(hue: int, lightness: float) -> str:
    """As #rrggbb: not every viewer of SVG knows hsl()."""
    channels = colorsys.hls_to_rgb(hue / 360, lightness, SATURATION)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def _marks(arena: Arena, capacity: int | None, scale: _Scale) -> list[str]:
    """Lines across the plot. What lies outside of it is told beside it."""
    marks = {"lower bound": (arena.bound, "#1a7f37", "6 3")}
    if arena.height != arena.bound:
        marks["height"] = (arena.height, "#0550ae", "2 2")
    if capacity is not None:
        marks["capacity"] = (capacity, "#cf222e", "")
    parts, below = [], float(TOP + HEIGHT)
    for name, (address, colour, dashes) in sorted(marks.items(), key=lambda mark: mark[1][0]):
        inside = address <= scale.top
        y = scale.y(min(address, scale.top))
        if inside:
            parts.append(
                f'<path class="m" d="M{LEFT} {y:.2f}H{LEFT + WIDTH}" stroke="{colour}"'
                f' stroke-dasharray="{dashes}"/>'
            )
        below = min(y + 4, below - LABEL_HEIGHT)  # labels of lines that are close do not overlap
        arrow = "" if inside else "↑ "
        parts.append(
            f'<text x="{LEFT + WIDTH + 6}" y="{below:.2f}" fill="{colour}">{arrow}{name} {address:,}</text>'
        )
    return parts


def _axes(scale: _Scale) -> list[str]:
    parts = [
        f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 40}" text-anchor="middle">time</text>',
        f'<text x="{LEFT}" y="{TOP - 14}" text-anchor="middle">address, bytes</text>',
    ]
    for step in range(5):
        time = scale.first + (scale.last - scale.first) * step / 4
        address = scale.top * step / 4
        parts.append(
            f'<text x="{scale.x(time):.2f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{time:,.6g}</text>'
        )
        parts.append(
            f'<text x="{LEFT - 6}" y="{scale.y(address) + 4:.2f}" text-anchor="end">{address:,.0f}</text>'
        )
    return parts
