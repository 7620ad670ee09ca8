"""From layers to operations: the forward, backward and update of a run of layers.

One :class:`Lowering` turns layers into operations under one cost table. The regimes
(:mod:`devices.program.regimes`) decide which runs follow each other and what is resident when.
"""

from collections.abc import Iterable, Sequence

from devices.network import Layer
from devices.network.ops import MaxPool, Row
from devices.program import categories as cat
from devices.program.accountings import FLOAT_BITS
from devices.program.forward import Roles
from devices.program.operation import Derived, Operand, Stored, tensors_of
from devices.program.parameter import Parameter
from devices.program.updates import UpdateLowering
from devices.program.values import replaced


class Lowering(UpdateLowering):
    """The whole: error gradients go back through what the forward pass saved."""

    def backward(
        self, layers: Sequence[Layer], *, fused: bool, until: Iterable[str] = (), held: Iterable[str] = ()
    ) -> None:
        """Backward pass of ``layers``; the gradient also goes to the outputs named in ``until``.

        ``held`` are outputs that a caller in PyTorch holds meanwhile; a device holds nothing for that.
        """
        needed = self._needing_gradient(layers, set(until))
        for layer in reversed(layers):
            if layer.name in needed and (layer.op.ends or layer.name in self.gradients):
                targets = [name for name in layer.inputs if name in needed]
                self._backward_layer(layer, targets, fused)

    def _backward_layer(self, layer: Layer, targets: list[str], fused: bool) -> None:
        row, owner = self.table.row(layer), self._owners[layer.name]
        if row.gradient == "none":
            return
        gradient = self._incoming(layer)
        if row.gradient == "share" or (layer.op.drops and self.is_at_rest(layer)):
            for name in targets:
                self._share(name, gradient, owner)
        elif self._scatters(layer, targets):
            self._scatter(layer, targets[0], gradient)
        elif layer.weights:
            self._backward_weighted(layer, targets, gradient, fused)
        else:
            self._backward_plain(layer, row, targets, gradient, fused)
        self._sharers[gradient] -= 1

    def _scatters(self, layer: Layer, targets: list[str]) -> bool:
        """Whether the readers of a max pool's gradient find their elements in it by the positions.

        Then no map of the size before the pool is held, of which all but one of each window are zero. That is
        where an activation stands before the pool, and sums or a constant norm before that: any other norm
        wants a gradient of every element. Of other sides, as behind a view, sums do not find the windows.
        """
        if not self.scatters or not isinstance(layer.op, MaxPool) or not layer.op.apart or len(targets) != 1:
            return False
        (name,) = targets
        if name in self.gradients or self._readers[name] != 1 or name not in self.program.layers:
            return False
        activation = self.program.layers[name]
        before = self._behind_views(activation.inputs[0])
        alone = self.table.row(activation).gradient == "in_place" and activation.op.makes_codes
        if not alone or before is None or before.shape != activation.shape:
            return False
        return before.op.accumulates or (before.op.normalises and not self.table.row(before).statistics)

    def _behind_views(self, name: str) -> Layer | None:
        """The layer whose output a name stands for, if each on the way has one reader."""
        layers = self.program.layers
        while name in layers and self._readers[name] == 1:
            if self.table.row(layers[name]).output != "view" or len(layers[name].inputs) > 1:
                return layers[name]
            name = layers[name].inputs[0]
        return None

    def _scatter(self, pool: Layer, name: str, gradient: str) -> None:
        """The gradient of the pool's output stands for that of its input, with the positions."""
        ((_, where),) = self._saved(pool)
        self.scattered[gradient] = Derived(pool.name, (Stored(gradient), where))
        self._point(name, gradient)

    def _arriving(self, gradient: str) -> Operand:
        """A gradient as its reader finds it."""
        return self.scattered.get(gradient, Stored(gradient))

    def _incoming(self, layer: Layer) -> str:
        """The gradient of the layer's output; a loss starts from what it saved."""
        if not layer.op.is_loss:
            return self.gradients.pop(layer.name)
        (start,) = tensors_of(self.saved[layer.name][0][1])
        self._sharers[start] += 1
        return start

    def _backward_plain(self, layer: Layer, row: Row, targets: list[str], gradient: str, fused: bool) -> None:
        owner = self._owners[layer.name]
        saved = [(what, x) for what, x in self._saved(layer) if targets or what != "saved statistics"]
        grads = self._parameter_gradients(layer, owner)
        reuse = gradient if row.gradient == "in_place" else None
        written = [(_gradient_role(layer, name), *self._target(name, reuse, owner)) for name in targets]
        self._emit_backward(
            layer,
            "backward",
            (("gradient", self._arriving(gradient)), *saved, *self._held(layer)),
            written,
            grads,
            macs=len(targets) * layer.macs * self.images,
        )
        self._settle(grads, owner, fused)

    def _backward_weighted(self, layer: Layer, targets: list[str], gradient: str, fused: bool) -> None:
        """Input gradient first (it needs the old weights), then the weight gradient."""
        self._beside(layer, targets, fused)
        owner, macs = self._owners[layer.name], layer.macs * self.images
        arriving = ("gradient", self._arriving(gradient))
        for name in targets:
            target = ("input gradient", *self._target(name, None, owner))
            scratch = self._filter_scratch(layer)
            self._emit_backward(
                layer, "backward (input)", (arriving, *self._held(layer)), [target], [], scratch, macs
            )
        if not layer.trained.weights:
            self._backward_biases(layer, arriving, fused)
            return
        operands: Roles = (arriving, *self._saved(layer), *self._held(layer))
        stepping = self._stepping(layer, fused)
        grads = self._parameter_gradients(layer, owner, but=stepping)
        states = [] if stepping is None else [("state", Stored(name)) for name in stepping.states]
        one = () if stepping is None else (self._filter_gradient(layer, stepping),)
        moved = [] if stepping is None else [("weight", stepping.latent), *(_ends(states))]
        self._emit_backward(
            layer,
            "backward (weight)",
            (*operands, *states),
            [],
            grads,
            one,
            layer.weight_macs * self.images,
            moved=moved,
        )
        self._settle(grads, owner, fused)

    def _backward_biases(self, layer: Layer, arriving: tuple[str, Operand], fused: bool) -> None:
        """Of a layer whose weights are frozen: the gradient of biases, if any, sums the error."""
        owner = self._owners[layer.name]
        grads = self._parameter_gradients(layer, owner)
        if grads:
            self._emit_backward(layer, "backward (bias)", (arriving,), [], grads)
            self._settle(grads, owner, fused)

    def _beside(self, layer: Layer, targets: list[str], fused: bool) -> None:
        """What reads the same as the layer and has no parameters goes back before it, if it can.

        As the way around a residual block: the layer then adds to the gradient that came that way, which
        otherwise would wait beside a map of the layer's own.
        """
        for other in (x for name in targets for x in self._reading[name]):
            alone = self._readers[other.name] == 1 and not self.parameters.get(other.name)
            if alone and other.name in self.gradients and set(other.inputs) <= set(targets):
                self._backward_layer(other, list(other.inputs), fused)

    def _stepping(self, layer: Layer, fused: bool) -> Parameter | None:
        """The weights, if each filter may take its step as soon as its gradient is there."""
        if not fused or not self.bits.quantizer_of(layer).by_filter:
            return None
        name = f"{layer.name}.weight"
        return next((p for p in self.parameters.get(layer.name, ()) if p.latent == name), None)

    def _filter_gradient(self, layer: Layer, weights: Parameter) -> str:
        """Room for the gradient of one filter."""
        name, size = f"{weights.latent}.gradient", (layer.trained_filter,)
        return self._declare(name, size, FLOAT_BITS, cat.WEIGHT_GRADIENTS, weights.owner)

    def _emit_backward(
        self, layer: Layer, action: str, operands: Roles, targets: Sequence[tuple[str, str, bool]],
        grads: Sequence[tuple[Parameter, str]], scratch: tuple[str, ...] = (), macs: int = 0,
        moved: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        """``targets`` are gradients of inputs: role, name, if it is added to. ``moved`` takes its step."""
        prefix = len(layer.name) + 1
        results = [*moved, *((role, name) for role, name, _ in targets)]
        results += [(f"{p.latent[prefix:]} gradient", name) for p, name in grads]
        added = [name for _, name, adds in targets if adds]
        added += [name for p, name in grads if p.latent in self.accumulators]
        self.program.emit(
            action, "backward", self._owners[layer.name], layer=layer.name, operands=operands,
            results=results, scratch=scratch, adds=added, macs=macs,
        )  # fmt: skip

    def _saved(self, layer: Layer) -> Roles:
        """What the layer saved; a normalised map that was not kept is computed again first."""
        return [(f"saved {what}", self._present(x)) for what, x in self.saved.get(layer.name, ())]

    def _present(self, operand: Operand) -> Operand:
        for name in tensors_of(operand):
            if name in self._recipes:
                if name not in self._again:
                    self._again[name] = self._compute_again(name, *self._recipes[name])
                operand = replaced(operand, name, self._again[name])
        return self.values.now(operand)

    def _compute_again(self, name: str, conv: Layer, norm: Layer) -> str:
        old, owner = self.program.declared(name), self._owners[norm.name]
        again = self._declare(f"{norm.name}.again", old.shape, old.bits, cat.WORKING_TENSORS, owner)
        self.program.emit(
            "again", "backward", owner, layer=conv.name, operands=(*self._saved(conv), *self._held(conv)),
            results=(("output", again),), scratch=self._filter_scratch(conv), macs=conv.macs * self.images,
        )  # fmt: skip
        statistics = [(f"saved {w}", x) for w, x in self.saved[norm.name] if tensors_of(x) != (name,)]
        self.program.emit(
            "again", "backward", owner, layer=norm.name, operands=(("input", Stored(again)), *statistics),
            results=(("output", again),),
        )  # fmt: skip
        return again

    def _target(self, name: str, reuse: str | None, owner: str) -> tuple[str, bool]:
        """Where the gradient of ``name``'s output goes: an existing, a reused or a new buffer.

        With it whether there is one already, to which it is added.
        """
        existing = self.gradients.get(name)
        if existing is not None and self._sharers[existing] == 1:
            return existing, True
        # A buffer that is read yet takes no copy of another gradient beside it.
        free = existing is None and reuse is not None and self._sharers[reuse] == 1
        target = reuse if free else None
        if target is None:
            shape = (self.batch, *self._shapes[name])
            target = self._declare(f"{name}.gradient", shape, self.gradient_bits, cat.WORKING_TENSORS, owner)
        if existing is not None:  # another layer still needs it as it is
            self._copy(existing, target, owner)
        self._point(name, target)
        return target, existing is not None

    def _copy(self, source: str, target: str, owner: str) -> None:
        self._sharers[source] -= 1
        operands, results = (("gradient", Stored(source)),), (("gradient", target),)
        self.program.emit("copy gradient", "backward", owner, operands=operands, results=results)

    def _point(self, name: str, gradient: str) -> None:
        self.gradients[name] = gradient
        self.arrived[name] = tensors_of(self._arriving(gradient))
        self._sharers[gradient] += 1

    def _share(self, name: str, gradient: str, owner: str) -> None:
        """Let ``name``'s output have this gradient too, or add it to the one it has."""
        if name not in self.gradients:
            self._point(name, gradient)
            return
        sum_, _ = self._target(name, None, owner)
        self.program.emit(
            "add gradients", "backward", owner, subject=name, operands=(("gradient", Stored(gradient)),),
            results=(("gradient", sum_),), adds=(sum_,),
        )  # fmt: skip

    def next_step(self) -> None:
        """What follows is a step of its own: a device has nothing left from the one before."""


def _gradient_role(layer: Layer, name: str) -> str:
    """Of the first input "input gradient", of others with their number from 1."""
    index = layer.inputs.index(name)
    return f"input gradient {index}" if index else "input gradient"


def _ends(states: Roles) -> list[tuple[str, str]]:
    """The same tensors as results."""
    return [(role, name) for role, operand in states for name in tensors_of(operand)]
