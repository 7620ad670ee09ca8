"""Pictures that are drawn while a command goes on: the library that draws takes as long as a plan."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from blockwise.experiment.result import Result
from blockwise.system.beside import beside_loaded
from blockwise.system.collector import looking_seldom


@dataclass(frozen=True)
class Renderings:
    """The same picture as vectors and as pixels."""

    svg: str
    png: bytes


def load() -> None:
    """Load the library and its fonts, by a picture that nobody sees."""
    from blockwise.report.pictures import specimen

    specimen()


class Drawing:
    """The timeline of a result: begun as soon as the steps of its regimes are known, asked for at the end."""

    def __init__(self) -> None:
        self._begun: Callable[[], Renderings] | None = None

    def begin(self, result: Result) -> None:
        """Draw ``result``, of which nothing matters but what is planned."""
        self._begun = beside_loaded(partial(_drawn, result))

    def of(self, result: Result) -> Renderings:
        """What was begun, or else ``result`` drawn now."""
        return _drawn(result) if self._begun is None else self._begun()


def _drawn(result: Result) -> Renderings:
    with looking_seldom():
        from blockwise.report.pictures import timeline_images  # it loads the library

        return timeline_images(result)
