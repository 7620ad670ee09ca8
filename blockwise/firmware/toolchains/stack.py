"""The most stack that a program can take, by the call graph that GCC writes (-fcallgraph-info=su).

A node tells its function's frame, an edge a call. The bound is the longest path from the entry, by frames.
There is none where a function calls itself, calls through a pointer, takes a frame whose size is known
at run time only, or where a callee's frame is not told (the compiler's own library).
"""

import re
from collections.abc import Iterable

_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_FRAME = re.compile(r"(\d+) bytes \(static\)")


def bound_of(graphs: Iterable[str], entry: str) -> int | None:
    """Bytes of stack below ``entry``, its own frame included; None if nothing bounds them."""
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for graph in graphs:
        for title, label in _NODE.findall(graph):
            if found := _FRAME.search(label):
                frames[title] = int(found[1])
        for source, target in _EDGE.findall(graph):
            calls.setdefault(source, set()).add(target)
    return _depth(entry, frames, calls, ())


def _depth(
    name: str, frames: dict[str, int], calls: dict[str, set[str]], above: tuple[str, ...]
) -> int | None:
    if name in above or name not in frames:
        return None
    below = [_depth(callee, frames, calls, (*above, name)) for callee in sorted(calls.get(name, ()))]
    known = [depth for depth in below if depth is not None]
    return None if len(known) < len(below) else frames[name] + max(known, default=0)
