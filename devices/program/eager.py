"""What eager PyTorch does instead of a tight program: the lowering behind the ``pytorch`` table.

Differences from :class:`devices.program.lower.Lowering`, each seen in a real step by a mode that counts
storages: the batch belongs to the caller; a node of autograd makes the gradients of its input and
its parameters at once; gradients that meet are added into a third tensor; the frame that calls
backward() holds its loss, its outputs and the first gradient until it returns; torch.optim makes
copies of a gradient for weight decay and Nesterov's momentum, and frees gradients all at once.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from devices.network import LABELS, Layer
from devices.network.ops import Linear, MaxPool, Row, SimilarityLoss, SpatialStd, WeightedSum
from devices.program import categories as cat
from devices.program.accountings import FLOAT_BITS
from devices.program.lower import Lowering
from devices.program.operation import Stored, tensors_of
from devices.program.parameter import Parameter
from devices.program.schedule import ACTIVATION
from devices.program.updates import update_roles

BOOL_BITS = 8

UPDATE_COPIES: dict[str, tuple[int, int]] = {"sgd": (1, 0), "sgd-momentum": (2, 1), "adam": (3, 2)}
"""Temporary tensors of a parameter's size in torch.optim's step: of weights (decayed), of others."""


class EagerLowering(Lowering):
    """Lowers layers to what autograd and torch.optim execute in float32."""

    scatters = False
    _loss = ""  # the loss under way
    _kept: tuple[str, ...] = ()  # the loss before it, and the sum over micro-batches
    _totals: tuple[str, ...] = ()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shares: dict[str, str] = {}  # loss that is summed -> the gradient that waits for it

    def load(self, in_shape: tuple[int, ...], block: str) -> None:
        """The whole batch is there, and stays."""
        shape = (self.images, *in_shape)
        declare = self.program.tensor
        images = declare("batch.images", shape, self.table.image_bits, ACTIVATION, block, resident=True)
        labels = declare("batch.labels", shape[:1], self._label_bits, ACTIVATION, block, resident=True)
        self.values.outputs |= {self._source: Stored(images), LABELS: Stored(labels)}
        self.program.emit("load batch", "load", block, results=(("images", images), ("labels", labels)))

    def _extras(self, layer: Layer, row: Row) -> dict[str, tuple[str, ...]]:
        extras = super()._extras(layer, row)
        owner = self._owners[layer.name]
        if layer.op.ends:
            name = self.program.fresh(f"{layer.name}.loss")
            # mse_loss allots a value for every pair of samples, and gives one of them back.
            shape = (self.batch, self.batch) if isinstance(layer.op, SimilarityLoss) else ()
            self._loss = self.program.tensor(name, shape, FLOAT_BITS, cat.WORKING_TENSORS, owner)
            extras["loss"] = (self._loss,)
        if isinstance(layer.op, SimilarityLoss):
            extras |= self._similarities(layer, owner)
        return extras

    def _similarities(self, layer: Layer, owner: str) -> dict[str, tuple[str, ...]]:
        """What autograd keeps of the similarity matrices of a batch."""
        rows = self.batch, math.prod(self._shapes[layer.inputs[0]])
        square, column = (self.batch, self.batch), (self.batch, 1)
        sizes = {
            "clamped": square, "targets": square, "centred": rows, "varied": rows,
            "unit": rows, "norms": column, "divisors": column, "alive": column,
        }  # fmt: skip
        return {
            what: (self._declare(f"{layer.name}.{what}", shape, BOOL_BITS if what == "alive" else FLOAT_BITS,
                                 ACTIVATION, owner),)
            for what, shape in sizes.items()
        }  # fmt: skip

    def _passing(self, layer: Layer, row: Row) -> tuple[tuple[str, str], ...]:
        """A dropout draws its factors first; a max pool finds positions whether or not they are read."""
        if not (layer.op.drops or isinstance(layer.op, MaxPool)):
            return ()
        return tuple((what, name) for what, names in self._extras(layer, row).items() for name in names)

    # --------------------------------------------------------------- backward

    def backward(
        self, layers: Sequence[Layer], *, fused: bool, until: Iterable[str] = (), held: Iterable[str] = ()
    ) -> None:
        """Backward pass; what the caller holds is let go at its end."""
        last, owner = layers[-1], self._owners[layers[-1].name]
        roots = [t for name in held for t in self._tensors_of(name)]
        if last.op.ends:
            seed = self._declare(f"{last.name}.seed", (), FLOAT_BITS, cat.WORKING_TENSORS, owner)
            self.program.emit(
                "seed", "backward", owner, subject=last.name, reads=(self._loss,), writes=(seed,)
            )
            roots += [self._loss, seed]
            self._seed = seed
        else:
            roots.append(self.gradients[last.name])
        super().backward(layers, fused=fused, until=until)
        self.program.emit("backward returns", "update", owner, reads=(*roots, *self._kept))
        self._kept = (*self._totals, self._loss)

    def _incoming(self, layer: Layer) -> str:
        """The gradient of the layer's output; that of a loss is its log-probabilities' gradient."""
        if not layer.op.is_loss:
            return self.gradients.pop(layer.name)
        saved, owner = self._saved_tensors(layer), self._owners[layer.name]
        if layer.name in self._shares:
            saved = (*saved, self._shares.pop(layer.name))
        shape = self.program.declared(saved[0]).shape
        start = self._declare(f"{layer.name}.gradient", shape, FLOAT_BITS, cat.WORKING_TENSORS, owner)
        self.program.emit("backward", "backward", owner, subject=layer.name, reads=saved, writes=(start,))
        self._sharers[start] += 1
        return start

    def _backward_layer(self, layer: Layer, targets: list[str], fused: bool) -> None:
        """A sum of losses gives each its gradient first; they wait until their turn."""
        if not isinstance(layer.op, WeightedSum):
            return super()._backward_layer(layer, targets, fused)
        owner = self._owners[layer.name]
        for name in reversed(targets):
            share = self._declare(f"{name}.share", (), FLOAT_BITS, cat.WORKING_TENSORS, owner)
            self._shares[name] = share
            self.program.emit(
                "backward", "backward", owner, subject=layer.name, reads=(self._seed,), writes=(share,)
            )
        return None

    def _backward_weighted(self, layer: Layer, targets: list[str], gradient: str, fused: bool) -> None:
        self._backward_node(layer, targets, gradient, fused, 2 * layer.macs * self.images)

    def _backward_plain(self, layer: Layer, row: Row, targets: list[str], gradient: str, fused: bool) -> None:
        self._backward_node(layer, targets, gradient, fused, len(targets) * layer.macs * self.images)

    def _backward_node(self, layer: Layer, targets: list[str], gradient: str, fused: bool, macs: int) -> None:
        """All gradients of a node at once; then they go where they belong."""
        owner = self._owners[layer.name]
        grads = self._parameter_gradients(layer, owner)
        if isinstance(layer.op, Linear):
            grads.reverse()  # the bias has its gradient first; that of the weight is transposed yet
        new = {name: self._new_gradient(name, owner) for name in targets}
        self.program.emit(
            "backward", "backward", owner,
            reads=(gradient, *self._saved_tensors(layer), *self.held.get(layer.name, ())),
            writes=(*new.values(), *(g for _, g in grads), *self._temporaries(layer, owner)), macs=macs,
            layer=layer.name,
        )  # fmt: skip
        for name, target in new.items():
            self._arrive(name, target, owner)
        self._settle(grads, owner, fused)

    def _tensors_of(self, name: str) -> tuple[str, ...]:
        """The tensors that hold a layer's output."""
        return tensors_of(self.values.outputs[name]) if name in self.values.outputs else ()

    def _saved_tensors(self, layer: Layer) -> tuple[str, ...]:
        return tuple(t for _, operand in self.saved.get(layer.name, ()) for t in tensors_of(operand))

    def _temporaries(self, layer: Layer, owner: str) -> tuple[str, ...]:
        """What the backward formula of a standard deviation makes: the centred input and three rows."""
        if not isinstance(layer.op, SpatialStd):
            return ()
        shapes = (self._shapes[layer.inputs[0]], *[layer.shape] * 3)
        return tuple(
            self._declare(f"{layer.name}.temporary", (self.batch, *shape), FLOAT_BITS, cat.SCRATCH, owner)
            for shape in shapes
        )

    def _new_gradient(self, name: str, owner: str) -> str:
        shape = (self.batch, *self._shapes[name])
        return self._declare(f"{name}.gradient", shape, FLOAT_BITS, cat.WORKING_TENSORS, owner)

    def _share(self, name: str, gradient: str, owner: str) -> None:
        self._arrive(name, gradient, owner)

    def _arrive(self, name: str, gradient: str, owner: str) -> None:
        """Keep the gradient of ``name``'s output, or add it to the one that came before."""
        if name in self.gradients:
            other, first = self.gradients[name], gradient
            gradient = self._new_gradient(name, owner)
            self.program.emit(
                "add gradients", "backward", owner, subject=name, reads=(other, first), writes=(gradient,)
            )
        self._point(name, gradient)

    # ----------------------------------------------------------------- update

    def accumulate(self, block: str) -> None:
        """Room for all gradients, and for the sum of the losses."""
        super().accumulate(block)
        total = self._declare("loss.total", (), FLOAT_BITS, cat.WORKING_TENSORS, block)
        self.program.emit("zero loss", "load", block, writes=(total,))
        self._totals = self._kept = (total,)

    def next_step(self) -> None:
        """A step of its own begins: nothing is kept from the one before."""
        self._kept = ()

    def _parameter_gradients(
        self, layer: Layer, owner: str, but: Parameter | None = None
    ) -> list[tuple[Parameter, str]]:
        return [(p, self._new_parameter_gradient(p, owner)) for p in self.parameters.get(layer.name, ())]

    def _new_parameter_gradient(self, parameter: Parameter, owner: str) -> str:
        name, size = f"{parameter.latent}.gradient", (parameter.elements,)
        return self._declare(name, size, FLOAT_BITS, cat.WEIGHT_GRADIENTS, owner)

    def _settle(self, grads: list[tuple[Parameter, str]], owner: str, fused: bool) -> None:
        """Add to what earlier micro-batches accumulated, wait, or update at once."""
        for parameter, gradient in grads:
            total = self.accumulators.get(parameter.latent)
            if total is not None:
                self.program.emit(
                    "accumulate", "backward", owner, subject=parameter.latent, reads=(gradient,),
                    results=(("total", total),), adds=(total,),
                )  # fmt: skip
            self.pending.append((parameter, gradient if total is None else total, owner))
        if fused:
            self._apply()

    def update(self) -> None:
        """Apply every gradient that is waiting, then free all of them."""
        waiting = tuple(gradient for _, gradient, _ in self.pending)
        owner = self.pending[-1][2] if waiting else ""
        self._apply()
        if waiting:
            self.program.emit("zero gradients", "update", owner, reads=(*waiting, self._loss))

    def _apply(self) -> None:
        for parameter, gradient, owner in self.pending:
            operands, results = update_roles(parameter, gradient)
            self.program.emit(
                "update", "update", owner, subject=parameter.latent, operands=operands, results=results,
                scratch=self._copies(parameter, owner),
            )  # fmt: skip
        self.pending.clear()

    def _copies(self, parameter: Parameter, owner: str) -> tuple[str, ...]:
        decayed, plain = UPDATE_COPIES[self.optimizer]
        count = decayed if parameter.latent.endswith(".weight") else plain
        name, size = f"{parameter.latent}.copy", (parameter.elements // parameter.parts,)
        return tuple(self._declare(name, size, FLOAT_BITS, cat.SCRATCH, owner) for _ in range(count))
