"""A call in a traced network: the module or the arguments, and the shapes that go in and come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """What an operation reads its geometry from. Shapes are without the batch, empty where unknown."""

    called: str = ""  # the name of the module's class, of the function or the method
    module: Any = None  # None: a function or a method of tensors
    args: tuple[Any, ...] = ()  # of a function, its tensors among them
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Shape, ...] = ()
    output: Shape = ()

    def option(self, name: str, position: int, default: Any) -> Any:
        """An attribute of the module, or the argument of this name or at this position."""
        if self.module is not None:
            return getattr(self.module, name, default)
        if name in self.options:
            return self.options[name]
        return self.args[position] if position < len(self.args) else default

    def sides(self, name: str, position: int, default: Any) -> tuple[int, ...]:
        """An option that has a value for every dimension of space, or one for all of them."""
        value = self.option(name, position, default)
        return (value,) * max(1, len(self.output) - 1) if isinstance(value, int) else tuple(value)

    @property
    def beside(self) -> Shape:
        """In which values stand beside a map, as the module says; () where each is one of a channel."""
        return tuple(getattr(self.module, "sides", ()))

    @property
    def channels(self) -> int:
        """Of the first input; 0 if its shape is not known."""
        return self.inputs[0][0] if self.inputs and self.inputs[0] else 0
