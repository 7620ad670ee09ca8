"""What would fit a board: every way to train a network, measured; the best of them, confirmed.

:mod:`~blockwise.fit.space` lists the candidates, :mod:`~blockwise.fit.networks` traces and cuts each
network once, :mod:`~blockwise.fit.measure` counts, :mod:`~blockwise.fit.pareto_front` chooses and
:mod:`~blockwise.fit.search` puts it together. ::

    result = search(Space(batches=(16,)), Model("resnet20"), devices.load("stm32"), jobs=2)
    for choice in result.front:
        print(choice.confirmed.candidate, choice.confirmed.measured.peak_bytes)
"""

from blockwise.fit.networks import Model
from blockwise.fit.pareto_front import pareto
from blockwise.fit.result import FitResult
from blockwise.fit.search import search
from blockwise.fit.space import Candidate, Space

__all__ = ["Candidate", "FitResult", "Model", "Space", "pareto", "search"]
