"""From layers to operations: the forward, backward and update of a run of layers.

One :class:`Lowering` turns layers into operations under one cost table. The regimes
(:mod:`devices.program.regimes`) decide which runs follow each other and what is resident when.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from devices.network import DROPOUTS, IMAGES, LABELS, Layer, Network, Precision, skipping
from devices.program import categories as cat
from devices.program.accountings import CODE_MAKERS, FLOAT_BITS, CostTable, Row
from devices.program.schedule import ACTIVATION, Phase, Program
from devices.program.state import Bits, Parameter

CODE_SCRATCH_BITS = 8
"""One filter's codes are unpacked to bytes (or to what wider codes take) before they are multiplied."""

ACCUMULATORS = ("conv", "linear")
"""Layers whose output a norm or a loss may overwrite."""

PASSIVE = ("view", "max_pool", *DROPOUTS, "cat")
"""Layers that hand codes on as codes."""

LOSSES = ("cross_entropy", "similarity_loss")
"""Layers that end a run: their gradient starts from what they saved."""

ENDS = (*LOSSES, "weighted_sum")
"""Layers behind which there is no gradient to wait for."""

ACTIVATIONS = ("relu", "leaky_relu")
"""Layers that a dropout may overwrite: what it drops has no gradient."""

ELEMENTWISE = (
    *CODE_MAKERS,
    "leaky_relu",
    "add",
    "batch_norm",
    "batch_norm_recompute",
    "group_norm",
    "frozen_norm",
)
"""Layers that can evaluate a streamed input on the fly."""


def with_quantizers(
    layers: Sequence[Layer], bits: Bits, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Layer, ...]:
    """Insert a quantizer before quantized layers whose input is not codes already: one per tensor.

    Images and the outputs of other blocks are codes, but for those that a residual sum reads where skip
    paths are in float. Views and max pools of codes are codes. ``shapes`` are those of all tensors by the
    layer that makes them.
    """
    floats = skipping(layers) - {IMAGES} if bits.skips_floats else frozenset()
    codes: dict[str, bool] = {}
    made: dict[tuple[str, Precision], Layer] = {}
    result: list[Layer] = []
    for layer in layers:
        source = layer.inputs[0]
        reads_codes = codes.get(source, source not in floats)
        if layer.weights and bits.activation_of(layer) < FLOAT_BITS and not reads_codes:
            key = source, layer.precision
            if key not in made:
                name, shape = f"{layer.name}.input", shapes[source]
                made[key] = Layer(name, "quantize", (source,), shape, precision=layer.precision)
                result.append(made[key])
            layer = replace(layer, inputs=(made[key].name, *layer.inputs[1:]))
        result.append(layer)
        inherits = layer.kind in PASSIVE and reads_codes
        is_float = layer.precision == "skip" and bits.skips_floats
        codes[layer.name] = inherits or (layer.kind in CODE_MAKERS and not is_float)
    return tuple(result)


def leading_to(end: Layer, layers: Sequence[Layer]) -> frozenset[str]:
    """Those of ``layers`` whose outputs ``end`` depends on, itself among them."""
    found = {end.name}
    for layer in reversed(layers):
        if layer.name in found:
            found.update(layer.inputs)
    return frozenset(found)


def _drawn(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What a dropout draws: one number for each element, or for each channel of an image."""
    return shape[:2] if layer.kind == "channel_dropout" else shape


class Lowering:
    """Lowers runs of layers into ``program``; holds where each layer's output and gradient are.

    Tensors are of ``batch`` images. The operations may stand for the same ones repeated, in the same
    buffers, until all ``images`` of the step have passed: their multiply-accumulates count.
    """

    optimizer = ""  # what torch.optim would need temporaries for
    gradient_bits = FLOAT_BITS  # of the error gradients of activations

    def __init__(
        self, program: Program, network: Network, table: CostTable, bits: Bits, batch: int,
        images: int | None = None,
    ) -> None:  # fmt: skip
        self.program, self.table, self.bits, self.batch = program, table, bits, batch
        self.images = batch if images is None else images
        self.values: dict[str, tuple[str, ...]] = {}
        self.saved: dict[str, tuple[str, ...]] = {}
        self.gradients: dict[str, str] = {}
        self.parameters: dict[str, tuple[Parameter, ...]] = {}
        self.held: dict[str, tuple[str, ...]] = {}  # resident tensors that a layer reads
        self.levels: dict[str, tuple[str, ...]] = {}  # codes -> what gives them their values
        self.pending: list[tuple[Parameter, str, str]] = []  # parameter, its gradient, owner
        self.accumulators: dict[str, str] = {}  # parameter -> the gradient that all repetitions add to
        self._recipes: dict[str, tuple[Layer, Layer]] = {}  # normalised map -> its convolution and norm
        self._again: dict[str, str] = {}  # normalised map -> the one computed again
        self._sharers: Counter[str] = Counter()
        self._outlived: dict[str, int] = {}  # levels of codes that the next block reads -> their number
        self._shapes = {layer.name: layer.shape for layer in network.all_layers}
        self._owners = network.owners
        self._source = network.source
        self._label_bits = table.label_bits(network.classes)

    # ---------------------------------------------------------------- forward

    def load(self, in_shape: tuple[int, ...], block: str) -> None:
        """Read a batch of images and labels into RAM."""
        shape = (self.batch, *in_shape)
        images = self._declare("batch.images", shape, self.table.image_bits, ACTIVATION, block)
        labels = self._declare("batch.labels", shape[:1], self._label_bits, ACTIVATION, block)
        self.values[self._source], self.values[LABELS] = (images,), (labels,)
        self.program.emit("load batch", "load", block, writes=(images, labels))

    def forward(
        self, layers: Sequence[Layer], *, phase: Phase = "forward", keep: bool = True, training: bool = True
    ) -> None:
        """Forward pass of ``layers``. With ``keep`` what the backward pass needs is saved.

        That is of the layers that lead to the last one: what stands beside them, as the pool behind a head
        that reads before it, has no gradient. Unless in ``training`` dropout does nothing.
        """
        kept = leading_to(layers[-1], layers) if keep else frozenset()
        readers = Counter(source for layer in layers for source in layer.inputs)
        makers = {layer.name: layer for layer in layers}
        heirs = {source: layer.kind for layer in layers for source in layer.inputs}
        for layer in layers:
            row = self.table.row(layer)
            sources = tuple(t for name in layer.inputs for t in self.values[name])
            only_reader = heirs.get(layer.name) if readers[layer.name] == 1 else None
            idle = layer.kind in DROPOUTS and not training
            if idle or row.output == "view" or (row.output == "stream" and only_reader in ELEMENTWISE):
                self.values[layer.name] = sources
                continue
            overwrites = row.output == "in_place" and self._may_overwrite(layer, readers, makers)
            output = sources[0] if overwrites else self._new_output(layer, row, sources)
            keeps = layer.name in kept
            extras = self._save(layer, row, sources, output) if keeps else self._passing(layer, row)
            if row.remade and overwrites and keeps:
                self._recipes[output] = (makers[layer.inputs[0]], layer)
            self.values[layer.name] = (output,)
            self._set_levels(layer, sources, output)
            self.program.emit(
                f"{layer.name} forward", phase, self._owners[layer.name],
                reads=(*self.with_levels(sources), *self.held.get(layer.name, ())),
                writes=(output, *extras, *self._filter_scratch(layer)),
                macs=layer.macs * self.images, layer=layer.name,
            )  # fmt: skip

    def _may_overwrite(self, layer: Layer, readers: Counter[str], makers: dict[str, Layer]) -> bool:
        """In place only over an accumulator of the same run that nobody else reads; a dropout so on more."""
        source = layer.inputs[0]
        over = (*ACCUMULATORS, *ACTIVATIONS) if layer.kind in DROPOUTS else ACCUMULATORS
        return readers[source] == 1 and source in makers and makers[source].kind in over

    def _passing(self, layer: Layer, row: Row) -> tuple[str, ...]:
        """What a layer makes beside its output even if nothing is saved; nothing on a device."""
        return ()

    def with_levels(self, names: Iterable[str]) -> tuple[str, ...]:
        """The tensors and, of those that are codes, what gives them their values."""
        names = tuple(names)
        return tuple(dict.fromkeys((*names, *(s for name in names for s in self.levels.get(name, ())))))

    def _set_levels(self, layer: Layer, sources: tuple[str, ...], output: str) -> None:
        """Codes are read with the values of the quantizer that made them, however they came here."""
        if not self.table.packs:
            return
        if layer.kind in PASSIVE:
            self.levels[output] = tuple(s for name in sources for s in self.levels.get(name, ()))
        elif layer.kind in CODE_MAKERS and self.bits.quantizer_of(layer).levels != 0:
            self.levels[output] = self.held.get(layer.name, ())

    def _save(self, layer: Layer, row: Row, sources: tuple[str, ...], output: str) -> tuple[str, ...]:
        """Remember what the backward pass reads; returns the tensors made only for it."""
        extras = self._extras(layer, row)
        available = {
            "input": sources, "output": (output,), "labels": self.values.get(LABELS, ()), **extras
        }  # fmt: skip
        self.saved[layer.name] = tuple(t for what in self._saves(layer, row) for t in available[what])
        return tuple(t for names in extras.values() for t in names)

    def _saves(self, layer: Layer, row: Row) -> tuple[str, ...]:
        """What the row saves; codes narrower than 32 bits need their mask, floats their output."""
        if not self.table.packs or "mask" not in row.saves:
            return row.saves
        # The gradient of a trained step size needs the value before rounding.
        reads_value = self.bits.activations.reads_value
        if layer.precision == "skip" and self.bits.skips_floats:
            return ("output",) if reads_value else ("mask",)  # kept for the quantizer behind it anyway
        if self.bits.activation_of(layer) == FLOAT_BITS:
            return ("output",)  # a float ReLU's output tells its mask
        return ("mask", "input", "output") if reads_value else ("mask",)

    def _extras(self, layer: Layer, row: Row) -> dict[str, tuple[str, ...]]:
        """Tensors that exist only to be saved."""
        owner = self._owners[layer.name]
        shape, channels = (self.batch, *layer.shape), (layer.shape or (1,))[0]
        normalised = self.batch * layer.groups if layer.groups else channels
        sizes = {
            "mask": (shape, row.mask_bits),
            "sign": (shape, 1),
            "kept": (_drawn(layer, shape), 1),
            "noise": (_drawn(layer, shape), FLOAT_BITS),
            "argmax": (shape, self.table.argmax_bits(layer)),
            "statistics": ((row.statistics * normalised,), FLOAT_BITS),
            "total": ((1,), FLOAT_BITS),
            "similarities": ((self.batch, self.batch), FLOAT_BITS),
        }
        return {
            what: (self._declare(f"{layer.name}.{what}", *sizes[what], ACTIVATION, owner),)
            for what in self._saves(layer, row)
            if what in sizes
        }

    def _new_output(self, layer: Layer, row: Row, sources: tuple[str, ...]) -> str:
        owner = self._owners[layer.name]
        source = self.program.declared(sources[0])
        codes = self.bits.activation_of(layer) if self.table.packs else FLOAT_BITS
        bits = {"float": FLOAT_BITS, "codes": codes, "input": source.bits}[row.width]
        shape = (self.batch, *layer.shape)
        if layer.kind in ENDS:  # cross entropy keeps as many probabilities as it reads logits
            shape = source.shape if layer.kind == "cross_entropy" else (1,)
        return self._declare(f"{layer.name}.out", shape, bits, ACTIVATION, owner)

    def _filter_scratch(self, layer: Layer) -> tuple[str, ...]:
        """Room for one filter's codes as bytes, where weights are codes."""
        if not (self.table.packs and layer.filter_size and self.bits.weight_of(layer) < FLOAT_BITS):
            return ()
        size, bits = (layer.filter_size,), max(CODE_SCRATCH_BITS, self.bits.weight_of(layer))
        return (self._declare(f"{layer.name}.filter", size, bits, cat.SCRATCH, self._owners[layer.name]),)

    # --------------------------------------------------------------- backward

    def backward(
        self, layers: Sequence[Layer], *, fused: bool, until: Iterable[str] = (), held: Iterable[str] = ()
    ) -> None:
        """Backward pass of ``layers``; the gradient also goes to the outputs named in ``until``.

        ``held`` are outputs that a caller in PyTorch holds meanwhile; a device holds nothing for that.
        """
        needed = self._needing_gradient(layers, set(until))
        for layer in reversed(layers):
            if layer.name in needed and (layer.kind in ENDS or layer.name in self.gradients):
                targets = [name for name in layer.inputs if name in needed]
                self._backward_layer(layer, targets, fused)

    def _needing_gradient(self, layers: Sequence[Layer], until: set[str]) -> set[str]:
        needed = set(until)
        for layer in layers:
            if self.parameters.get(layer.name) or needed.intersection(layer.inputs):
                needed.add(layer.name)
        return needed

    def _backward_layer(self, layer: Layer, targets: list[str], fused: bool) -> None:
        row, owner = self.table.row(layer), self._owners[layer.name]
        if row.gradient == "none":
            return
        gradient = self._incoming(layer)
        if row.gradient == "share":
            for name in targets:
                self._share(name, gradient, owner)
        elif layer.weights:
            self._backward_weighted(layer, targets, gradient, fused)
        else:
            self._backward_plain(layer, row, targets, gradient, fused)
        self._sharers[gradient] -= 1

    def _incoming(self, layer: Layer) -> str:
        """The gradient of the layer's output; a loss starts from what it saved."""
        if layer.kind not in LOSSES:
            return self.gradients.pop(layer.name)
        start = self.saved[layer.name][0]
        self._sharers[start] += 1
        return start

    def _backward_plain(self, layer: Layer, row: Row, targets: list[str], gradient: str, fused: bool) -> None:
        owner = self._owners[layer.name]
        saved = self._saved(layer)
        grads = self._parameter_gradients(layer, owner)
        reuse = gradient if row.gradient == "in_place" else None
        written = [self._target(name, reuse, owner) for name in targets]
        self.program.emit(
            f"{layer.name} backward", "backward", owner,
            reads=(gradient, *saved, *self.held.get(layer.name, ())),
            writes=(*written, *(g for _, g in grads)), layer=layer.name,
        )  # fmt: skip
        self._settle(grads, owner, fused)

    def _backward_weighted(self, layer: Layer, targets: list[str], gradient: str, fused: bool) -> None:
        """Input gradient first (it needs the old weights), then the weight gradient."""
        owner, macs = self._owners[layer.name], layer.macs * self.images
        for name in targets:
            target = self._target(name, None, owner)
            self.program.emit(
                f"{layer.name} backward (input)", "backward", owner,
                reads=(gradient, *self.held.get(layer.name, ())),
                writes=(target, *self._filter_scratch(layer)), macs=macs, layer=layer.name,
            )  # fmt: skip
        saved = self._saved(layer)
        grads = self._parameter_gradients(layer, owner)
        self.program.emit(
            f"{layer.name} backward (weight)", "backward", owner,
            reads=(gradient, *saved, *self.held.get(layer.name, ())),
            writes=tuple(g for _, g in grads), macs=macs, layer=layer.name,
        )  # fmt: skip
        self._settle(grads, owner, fused)

    def _saved(self, layer: Layer) -> tuple[str, ...]:
        """What the layer saved; a normalised map that was not kept is computed again first."""
        return self.with_levels(self._present(name) for name in self.saved.get(layer.name, ()))

    def _present(self, name: str) -> str:
        if name not in self._recipes:
            return name
        if name not in self._again:
            self._again[name] = self._compute_again(name, *self._recipes[name])
        return self._again[name]

    def _compute_again(self, name: str, conv: Layer, norm: Layer) -> str:
        old, owner = self.program.declared(name), self._owners[norm.name]
        again = self._declare(f"{norm.name}.again", old.shape, old.bits, cat.WORKING_TENSORS, owner)
        self.program.emit(
            f"{conv.name} again", "backward", owner,
            reads=(*self._saved(conv), *self.held.get(conv.name, ())),
            writes=(again, *self._filter_scratch(conv)), macs=conv.macs * self.images, layer=conv.name,
        )  # fmt: skip
        statistics = tuple(t for t in self.saved[norm.name] if t != name)
        self.program.emit(
            f"{norm.name} again", "backward", owner, reads=(again, *statistics), writes=(again,),
            layer=norm.name,
        )  # fmt: skip
        return again

    def _target(self, name: str, reuse: str | None, owner: str) -> str:
        """Where the gradient of ``name``'s output goes: an existing, a reused or a new buffer."""
        existing = self.gradients.get(name)
        if existing is not None and self._sharers[existing] == 1:
            return existing  # accumulate into it
        target = reuse if reuse is not None and self._sharers[reuse] == 1 else None
        if target is None:
            shape = (self.batch, *self._shapes[name])
            target = self._declare(f"{name}.gradient", shape, self.gradient_bits, cat.WORKING_TENSORS, owner)
        if existing is not None:  # another layer still needs it as it is
            self._copy(existing, target, owner)
        self._point(name, target)
        return target

    def _copy(self, source: str, target: str, owner: str) -> None:
        self._sharers[source] -= 1
        self.program.emit("copy gradient", "backward", owner, reads=(source,), writes=(target,))

    def _point(self, name: str, gradient: str) -> None:
        self.gradients[name] = gradient
        self._sharers[gradient] += 1

    def _share(self, name: str, gradient: str, owner: str) -> None:
        """Let ``name``'s output have this gradient too, or add it to the one it has."""
        if name not in self.gradients:
            self._point(name, gradient)
            return
        sum_ = self._target(name, None, owner)
        self.program.emit(f"{name} add gradients", "backward", owner, reads=(gradient,), writes=(sum_,))

    def next_step(self) -> None:
        """What follows is a step of its own: a device has nothing left from the one before."""

    # ----------------------------------------------------------------- update

    def _parameter_gradients(self, layer: Layer, owner: str) -> list[tuple[Parameter, str]]:
        return [(p, self._gradient_of(p, owner)) for p in self.parameters.get(layer.name, ())]

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
        self.program.emit("zero gradients", "load", block, writes=tuple(self.accumulators.values()))

    def _settle(self, grads: list[tuple[Parameter, str]], owner: str, fused: bool) -> None:
        self.pending += [(parameter, gradient, owner) for parameter, gradient in grads]
        if fused:
            self.update()

    def update(self) -> None:
        """Apply and free every gradient that is waiting."""
        for parameter, gradient, owner in self.pending:
            self._keep_levels(parameter.latent)
            self.program.emit(
                f"{parameter.latent} update", "update", owner,
                reads=(gradient, *parameter.tensors), writes=parameter.tensors,
            )  # fmt: skip
        self.pending.clear()

    def hand_on(self, name: str) -> None:
        """The codes of ``name`` will be read after this block's step: with the levels before it."""
        count = self.bits.activations.levels
        for codes in self.values[name]:
            for levels in self.levels.get(codes, ()):
                elements = self.program.declared(levels).elements
                self._outlived[levels] = elements if count is None else min(count, elements)

    def leave(self) -> None:
        """The block's state leaves RAM: keep what its codes are still read with."""
        for name in tuple(self._outlived):
            self._keep_levels(name)

    def _keep_levels(self, name: str) -> None:
        """Copy levels that are about to change, if codes are still to be read with them."""
        if name not in self._outlived:
            return
        owner, size = self.program.declared(name).owner, (self._outlived.pop(name),)
        kept = self._declare(f"{name}.kept", size, FLOAT_BITS, cat.NORM_AND_QUANTIZER, owner)
        self.program.emit(f"{name} kept", "update", owner, reads=(name,), writes=(kept,))
        renamed = {name: kept}
        self.levels = {c: tuple(renamed.get(s, s) for s in found) for c, found in self.levels.items()}

    # ------------------------------------------------------------------ names

    def _declare(self, name: str, shape: tuple[int, ...], bits: int, category: str, owner: str) -> str:
        return self.program.tensor(self.program.fresh(name), shape, bits, category, owner)
