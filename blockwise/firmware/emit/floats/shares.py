"""Layers of whose weights only the first channels are trained: where these lie, which inputs they read."""

import math
from dataclasses import dataclass, replace

from blockwise.firmware.emit.floats.order import filters_of
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call
from devices.network import Layer
from devices.network.ops import Conv
from devices.program.execute.memory import WORD_BITS
from devices.program.operation import Stored

Lines = list[str]


@dataclass(frozen=True)
class Share:
    """``struct share``: of the first ``outputs`` filters the first ``inputs`` of ``channels`` at a position.

    At the first ``more`` positions there is one more; a filter has ``size`` weights.
    """

    outputs: int
    inputs: int
    more: int
    channels: int
    size: int

    @classmethod
    def of(cls, site: Site, layer: Layer) -> "Share":
        """Of a layer. Features behind a map go by channel, and lie by pixel."""
        _, channels, rows, columns = filters_of(site.schedule, layer)
        positions = 1 if isinstance(layer.op, Conv) else rows * columns
        inputs, more = divmod(layer.trained_inputs, positions)
        return cls(layer.trained_outputs, inputs, more, channels, layer.filter_size)

    def __str__(self) -> str:
        numbers = self.outputs, self.inputs, self.more, self.channels, self.size
        return f"(struct share){{{', '.join(map(str, numbers))}}}"


def keep(site: Site) -> Lines:
    """The inputs that trained weights read, where they lie as they are read."""
    part, source = site.result("part"), site.operand("input")
    if part is None:
        return []
    assert isinstance(source, Stored)
    tensor, whole, layer = site.tensor(part), site.tensor(source.tensor), site.layer
    share = Share.of(site, layer)
    if isinstance(layer.op, Conv):  # of each pixel
        share = replace(share, inputs=tensor.shape[1], channels=whole.shape[1])
    sizes = tensor.shape[0], math.prod(whole.shape[1:]), math.prod(tensor.shape[1:])
    if tensor.bits == WORD_BITS:
        return [call("keep_floats", share, *sizes, site.floats(source.tensor), site.floats(part))]
    moved = site.bytes(source.tensor), tensor.bits, site.bytes(part)
    return [call("keep_codes", share, *sizes, *moved)]


def features(site: Site, layer: Layer, inner: str) -> str:
    """The function of a linear layer's input that has the features of trained weights alone."""
    share = Share.of(site, layer)
    body = f"return {inner}(held, b, y, x, place_in_filter({share}, c));"
    return site.function("part", "float", "const float *held, int b, int y, int x, int c", body)
