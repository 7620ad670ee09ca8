"""From layers to operations: the forward pass of a run of layers.

What a layer writes and saves is a row of the cost table. A tensor that nobody has to store is an operand
that its reader evaluates.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from devices.network import IMAGES, LABELS, Layer
from devices.network.layers import leading_to
from devices.network.ops import CrossEntropy, FrozenNorm, Row
from devices.program import categories as cat
from devices.program.accountings import CODE_SCRATCH_BITS, FLOAT_BITS
from devices.program.operation import LOAD, Derived, Operand, Phase, Stored, layers_of, tensors_of
from devices.program.passes import Heir, LossTarget, leaves_to_reader
from devices.program.saving import SavingLowering
from devices.program.schedule import ACTIVATION
from devices.program.values import made_at_rest, maker_of, mixed, with_roles

Roles = Sequence[tuple[str, Operand]]
"""Operands by role."""


class ForwardLowering(SavingLowering):
    """Lowers the forward passes of runs of layers into ``program``."""

    moves = True  # whether what follows the data does so in a first pass
    streams = False  # whether passes in training that keep nothing leave sums to their readers, as at rest
    tells: LossTarget | None = None  # where a loss adds its value, if anyone wants it

    def load(self, in_shape: tuple[int, ...], block: str) -> None:
        """Read a batch of images and labels into RAM."""
        shape = (self.batch, *in_shape)
        images = self._declare("batch.images", shape, self.table.image_bits, ACTIVATION, block)
        labels = self._declare("batch.labels", shape[:1], self._label_bits, ACTIVATION, block)
        self.values.outputs |= {self._source: Stored(images), LABELS: Stored(labels)}
        self.values.makers |= {images: IMAGES, labels: LABELS}
        self.program.emit(LOAD, "load", block, results=(("images", images), ("labels", labels)))

    def forward(
        self, layers: Sequence[Layer], *, phase: Phase = "forward", keep: bool = True, training: bool = True,
        until: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """Forward pass of ``layers``. With ``keep`` what the backward pass needs is saved.

        That is of the layers that lead to the last one: what stands beside them, as the pool behind a head
        that reads before it, has no gradient. Nor has a frozen layer before which nothing is trained, whose
        input is none of ``until``. Unless in ``training`` dropout does nothing.
        """
        kept = self._saving(layers, set(until)) if keep else frozenset()
        readers = Counter(source for layer in layers for source in layer.inputs)
        makers = {layer.name: layer for layer in layers}
        heirs = self._heirs(layers, readers)
        for layer in layers:
            row = self.table.row(layer)
            rests = not training or self.is_at_rest(layer)
            idle = layer.op.drops and rests
            streams = self._streams(layer, row, heirs.get(layer.name), keep, training)
            if idle or streams or row.output == "view":
                self._pass_on(layer, idle)
                continue
            sources, dropouts = self._undropped(layer, self.values.of(layer.inputs))
            stored = isinstance(sources[0], Stored)  # sums that the layer itself evaluates lie nowhere
            overwrites = row.output == "in_place" and stored and self._may_overwrite(layer, readers, makers)
            output = tensors_of(sources[0])[0] if overwrites else self._new_output(layer, row, sources)
            keeps = layer.name in kept
            extras = self._save(layer, row, sources, output) if keeps else self._passing(layer, row)
            if row.remade and overwrites and keeps:
                self._recipes[output] = (makers[layer.inputs[0]], layer)
            self._set_output(layer, sources, output, training, dropouts)
            moved = self._moved(layer) if training and self.moves and phase == "forward" else ()
            told, evaluated = self._told(layer), self._evaluated(layer, sources)
            self.program.emit(
                "forward", phase, self._owners[layer.name], layer=layer.name,
                operands=(*inputs_of(sources), *self._held(layer)),
                results=(("output", output), *extras, *moved, *told),
                scratch=[name for x in evaluated for name in self._filter_scratch(x)],
                adds=[name for _, name in told],
                macs=sum(x.macs for x in evaluated) * self.images, at_rest=rests, trains=training,
                draw=self.tells.draw if self.tells and told else 0,
            )  # fmt: skip

    def _streams(self, layer: Layer, row: Row, heir: Heir | None, keep: bool, training: bool) -> bool:
        """Whether its sums go to its only reader, as they are made."""
        if heir is None:
            return False
        early = not training or (self.streams and not keep and not self._follows(layer))
        return leaves_to_reader(layer, row, heir, self.table, early=early, training=training)

    def is_at_rest(self, layer: Layer) -> bool:
        """Whether nothing of it is trained, so that a training passes it as it is deployed."""
        return not (layer.trained.anything or self.table.row(layer).statistics)

    def _told(self, layer: Layer) -> tuple[tuple[str, str], ...]:
        """Where the value of a loss goes beside its gradient, by role."""
        return ((self.tells.role, self.tells.tensor),) if self.tells and layer.op.is_loss else ()

    def _saving(self, layers: Sequence[Layer], until: set[str]) -> frozenset[str]:
        """The layers of which something is saved: of frozen ones those on the way to what is trained."""
        needing = self._needing_gradient(layers, until)
        self._ending = {layer.name for layer in layers if not needing.intersection(layer.inputs)}
        needing |= self._read_again
        leading = leading_to(layers[-1], layers)
        wanted = (x.name for x in layers if x.trained.anything or x.name in needing)
        return leading.intersection(wanted)

    def _needing_gradient(self, layers: Sequence[Layer], until: set[str]) -> set[str]:
        """The layers to which an error goes back, and ``until``."""
        needed = set(until)
        for layer in layers:
            behind = needed.intersection(layer.inputs) and not layer.op.stops
            if self.parameters.get(layer.name) or behind:
                needed.add(layer.name)
        return needed

    def _heirs(self, layers: Sequence[Layer], readers: Counter[str]) -> dict[str, Heir]:
        """The only reader of each layer that has but one, behind views that read no element twice."""
        heirs: dict[str, Heir] = {}
        for layer in reversed(layers):
            op, output = layer.op, self.table.row(layer).output
            behind = heirs.get(layer.name)
            if output == "view" and not (op.ends or op.repeats):
                found = behind
            elif output == "stream" and behind is not None and behind.reader.elementwise:
                found = Heir(op, behind.evaluates)
            else:
                found = Heir(op, op)
            for source in layer.inputs:
                if readers[source] == 1 and found is not None:
                    heirs[source] = found
        return heirs

    def _evaluated(self, layer: Layer, sources: Sequence[Operand]) -> list[Layer]:
        """The layer, and those whose sums it evaluates."""
        return [layer, *(self.program.layers[name] for source in sources for name in layers_of(source))]

    def _pass_on(self, layer: Layer, idle: bool) -> None:
        """What is never stored: its readers evaluate it."""
        outputs = self.values.outputs
        inputs = tuple(outputs[name] for name in layer.inputs)
        outputs[layer.name] = inputs[0] if idle else Derived(layer.name, inputs)
        self.values.applied.setdefault(layer.name, self.held.get(layer.name, ()))

    def _undropped(
        self, layer: Layer, sources: tuple[Operand, ...]
    ) -> tuple[tuple[Operand, ...], tuple[str, ...]]:
        """What a layer that hands on codes reads behind dropouts, whose factors its own reader applies."""
        dropouts = []
        if layer.op.passes_codes and len(sources) == 1:
            (source,) = sources
            while isinstance(source, Derived) and self.program.layers[source.layer].op.drops:
                dropouts.append(source.layer)
                (source,) = source.inputs
            sources = (source,)
        return sources, tuple(reversed(dropouts))

    def _set_output(
        self, layer: Layer, sources: Sequence[Operand], output: str, training: bool, dropouts: Sequence[str]
    ) -> None:
        """Where the output is. In training a norm leaves scale and shift to whoever reads it.

        So does a dropout its factor: codes that it keeps stay as they are.
        """
        if self.table.packs and training and layer.op.drops:
            dropouts = (*dropouts, layer.name)
        operand: Operand = Stored(output)
        for name in dropouts:
            operand = Derived(name, (operand,))
        self.values.outputs[layer.name] = operand
        if self.table.packs and training and self.table.row(layer).statistics:
            self.values.outputs[layer.name] = Derived(layer.name, (Stored(output),))
            pair = (operand for role, operand in self._held(layer) if role == "bias")
            self.values.applied[layer.name] = tuple(name for x in pair for name in tensors_of(x))
        self._set_levels(layer, sources, output)
        rests = layer.op.makes_codes and not training
        if rests or (layer.op.passes_codes and any(map(made_at_rest, sources))):
            self.values.at_rest.add(output)

    def _held(self, layer: Layer) -> Roles:
        """The resident tensors that the layer reads; of another layer's those that make its weights."""
        held = self.held.get(layer.weights_of or layer.name, ())
        known = self._roles.get(layer.name)
        if known is None or known[0] is not held:
            roles = with_roles(layer, held)
            if layer.weights_of:
                roles = tuple((role, operand) for role, operand in roles if role != "bias")
            known = self._roles[layer.name] = held, roles
        return known[1]

    def _moved(self, layer: Layer) -> tuple[tuple[str, str], ...]:
        """What follows the data: running statistics of a norm, levels of a quantizer."""
        if not self.table.packs or layer.weights_of:
            return ()
        found = self._held(layer)
        moving = ("levels",) if isinstance(layer.op, FrozenNorm) else ("running", "levels")
        return tuple((role, tensors_of(t)[0]) for role, t in found if role in moving)

    def _follows(self, layer: Layer) -> bool:
        """Whether a layer with weights has levels that follow them: it needs an operation that moves them."""
        own = layer.weights and not layer.weights_of
        return bool(own) and any(role == "levels" for role, _ in self._held(layer))

    def _may_overwrite(self, layer: Layer, readers: Counter[str], makers: dict[str, Layer]) -> bool:
        """In place only over an accumulator of the same run that nobody else reads; a dropout so on more."""
        source = layer.inputs[0]
        if readers[source] != 1 or source not in makers:
            return False
        before = makers[source].op
        by_row = layer.op.by_row and before.spare
        return before.accumulates or by_row or (layer.op.drops and before.overwritable)

    def _passing(self, layer: Layer, row: Row) -> tuple[tuple[str, str], ...]:
        """What a layer makes beside its output even if nothing is saved; nothing on a device."""
        return ()

    def _set_levels(self, layer: Layer, sources: Sequence[Operand], output: str) -> None:
        """Codes are read with the values of the quantizer that made them, however they came here."""
        if not self.table.packs:
            return
        levels = self.values.levels
        if layer.op.passes_codes:
            names = (name for source in sources for name in tensors_of(source))
            levels[output] = tuple(dict.fromkeys(s for name in names for s in levels.get(name, ())))
            self.values.makers[output] = next(filter(None, map(maker_of, sources)), "")
            if mixed(sources):  # stored as floats
                levels[output], self.values.makers[output] = (), ""
        elif layer.op.makes_codes:
            self.values.makers[output] = layer.name if self.bits.activation_of(layer) < FLOAT_BITS else ""
            if self.bits.quantizer_of(layer).levels != 0:
                levels[output] = self.held.get(layer.name, ())

    def _new_output(self, layer: Layer, row: Row, sources: Sequence[Operand]) -> str:
        owner = self._owners[layer.name]
        source = self.program.declared(tensors_of(sources[0])[0])
        codes = self.bits.activation_of(layer) if self.table.packs else FLOAT_BITS
        as_read = FLOAT_BITS if self.table.packs and mixed(sources) else source.bits
        bits = {"float": FLOAT_BITS, "codes": codes, "input": as_read}[row.width]
        shape = (self.batch, *layer.shape)
        if layer.op.ends:  # cross entropy keeps as many probabilities as it reads logits
            shape = source.shape if isinstance(layer.op, CrossEntropy) else (1,)
        return self._declare(f"{layer.name}.out", shape, bits, ACTIVATION, owner)

    def _filter_scratch(self, layer: Layer) -> tuple[str, ...]:
        """Room for one filter's codes as bytes, where weights are codes."""
        if not (self.table.packs and layer.filter_size and self.bits.weight_of(layer) < FLOAT_BITS):
            return ()
        size, bits = (layer.filter_size,), max(CODE_SCRATCH_BITS, self.bits.weight_of(layer))
        return (self._declare(f"{layer.name}.filter", size, bits, cat.SCRATCH, self._owners[layer.name]),)


def inputs_of(sources: Sequence[Operand]) -> Roles:
    """What a layer reads of others."""
    return [("input", source) for source in sources]
