"""Values that stand beside a map: one for each channel, or in a shape of their own."""

import math

from devices.network.ops.call import Shape


def by_channel(channels: int, shape: Shape) -> Shape:
    """In which a value for each channel stands beside a map of ``shape``."""
    return (channels, *[1] * (len(shape) - 1))


class Beside:
    """What operations have whose values stand beside a map in the shape ``sides``; () for one a channel."""

    channels: int
    sides: Shape

    def beside(self, shape: Shape) -> Shape:
        """The shape in which they stand beside a map of ``shape``, without the batch."""
        return self.sides or by_channel(self.channels, shape)

    @property
    def count(self) -> int:
        """How many of them: factors, or summands."""
        return math.prod(self.sides) if self.sides else self.channels
