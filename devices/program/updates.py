"""From gradients to new parameters: at once, at the end of the step, or after several passes."""

from collections.abc import Iterable

from devices.network import Layer
from devices.program import categories as cat
from devices.program.accountings import FLOAT_BITS
from devices.program.forward import ForwardLowering
from devices.program.operation import Operand, Stored, everything_of
from devices.program.parameter import Parameter


class UpdateLowering(ForwardLowering):
    """Gradients of parameters, what waits for its update, and what must outlive it."""

    def _parameter_gradients(
        self, layer: Layer, owner: str, but: Parameter | None = None
    ) -> list[tuple[Parameter, str]]:
        """Room for the gradients of the layer's parameters, ``but`` one."""
        return [(p, self._gradient_of(p, owner)) for p in self.parameters.get(layer.name, ()) if p != but]

    def _gradient_of(self, parameter: Parameter, owner: str) -> str:
        if parameter.latent in self.accumulators:
            return self.accumulators[parameter.latent]
        name, size = f"{parameter.latent}.gradient", (parameter.elements,)
        return self._declare(name, size, FLOAT_BITS, cat.WEIGHT_GRADIENTS, owner)

    def accumulate(self, block: str) -> None:
        """Make room for all gradients before the first repetition: each adds to them."""
        for parameters in self.parameters.values():
            for p in parameters:
                self.accumulators[p.latent] = self._gradient_of(p, p.owner)
        self.program.emit("zero gradients", "load", block, writes=self.accumulators.values())

    def _settle(self, grads: list[tuple[Parameter, str]], owner: str, fused: bool) -> None:
        self.pending += [(parameter, gradient, owner) for parameter, gradient in grads]
        if fused:
            self.update()

    def update(self) -> None:
        """Apply and free every gradient that is waiting."""
        for parameter, gradient, owner in self.pending:
            self._keep(parameter.latent)
            operands, results = update_roles(parameter, gradient)
            self.program.emit(
                "update", "update", owner, subject=parameter.latent, operands=operands, results=results
            )
        self.pending.clear()

    def hand_on(self, name: str) -> None:
        """The output of ``name`` will be read after this block's step: with the levels before it."""
        read = self.values.of([name])
        sizes = {t: self.program.declared(t).elements for t in (x for o in read for x in everything_of(o))}
        self.values.hand_on(name, self._levels_of(sizes), sizes)

    def _levels_of(self, codes: Iterable[str]) -> dict[str, int | None]:
        """By what codes are read with: how many of these values are needed, as their own quantizer says."""
        makers = {name: self.program.layers.get(self.values.makers.get(name, "")) for name in codes}
        return {
            level: self.bits.quantizer_of(maker).levels
            for name, maker in makers.items()
            if maker is not None
            for level in self.values.levels.get(name, ())
        }

    def leave(self) -> None:
        """The block's state leaves RAM: keep what its codes are still read with."""
        for name in self.values.waiting:
            self._keep(name)

    def _keep(self, name: str) -> None:
        """Copy what is about to change, if the next block still reads by it."""
        count = self.values.due(name)
        if not count:
            return
        owner = self.program.declared(name).owner
        kept = self._declare(f"{name}.kept", (count,), FLOAT_BITS, cat.NORM_AND_QUANTIZER, owner)
        self.program.emit(
            "kept", "update", owner, subject=name, operands=(("value", Stored(name)),),
            results=(("copy", kept),),
        )  # fmt: skip
        self.values.rename(name, kept)


def update_roles(
    parameter: Parameter, gradient: str
) -> tuple[list[tuple[str, Operand]], list[tuple[str, str]]]:
    """Operands and results of a parameter's step."""
    results = [("value", parameter.latent), *(("state", name) for name in parameter.states)]
    return [("gradient", Stored(gradient)), *((role, Stored(t)) for role, t in results)], results
