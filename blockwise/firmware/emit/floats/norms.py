"""Norms: in place on the accumulator, and in place on the gradient."""

from blockwise.firmware.emit.floats.errors import Back
from blockwise.firmware.emit.floats.indices import value_of
from blockwise.firmware.emit.floats.joined import put_map
from blockwise.firmware.emit.floats.operands import ELEMENT, UNUSED, Operands
from blockwise.firmware.emit.floats.order import is_flattened
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number
from blockwise.firmware.float_facts import without_form
from devices.network.ops import BatchNorm, ChannelNorm, FrozenNorm, GroupNorm, LayerNorm
from devices.program.operation import Derived

Lines = list[str]


def forward(site: Site) -> Lines:
    """Normalise; in training by statistics of the batch, or of groups of channels."""
    op, output = site.layer.op, site.made("output")
    operands, shape = Operands(site), _map(site, output)
    if isinstance(op, FrozenNorm) or (isinstance(op, BatchNorm) and site.operation.at_rest):
        names = [site.stored(role) for role in ("folded", "running", "bias") if site.operand(role)]
        applied = Derived(site.layer.name, (site.needed("input"),), tuple(name for name in names if name))
        at = operands.at(applied, site.layer.shape)
        return [call("store_map", shape, at, operands.begins, "held", site.floats(output))]
    at = operands.at(site.needed("input"), site.layer.shape)
    to, statistics = site.floats(output), site.result("statistics")
    if isinstance(op, GROUPED):
        group = _Grouped(site, site.batch(output))
        read = *group.where, group.at(at), "held", number(op.eps)
        lines = [call("group_norm", *read, to, site.floats(statistics))]
        if site.operation.at_rest and op.affine:  # nobody is left to apply scale and shift
            lines.append(call("apply_pair", shape, site.floats(site.stored("bias")), to))
        return lines
    assert isinstance(op, BatchNorm)
    means, scales = _statistics(site, statistics)
    kept = site.result("running")
    if op.tracks and op.momentum is None:
        raise without_form(
            f"layer {site.layer.name}", "a mean over all batches of statistics", "a moving mean",
            "give its batch norm a momentum",
        )  # fmt: skip
    running, momentum = site.floats(kept), number(op.momentum or 0.0)
    return [call("batch_norm", shape, at, "held", number(op.eps), momentum, to, means, scales, running)]


def _statistics(site: Site, name: str | None) -> tuple[str, str]:
    """Where means and 1 / std are: of some norms the latter alone."""
    if name is None:
        return "0", "0"
    channels = dims_of(site.layer.shape)[2]
    both = site.tensor(name).elements == 2 * channels
    return (site.floats(name), f"{site.floats(name)} + {channels}") if both else ("0", site.floats(name))


def again(site: Site) -> Lines:
    """Normalise once more, by mean and 1/std as they were."""
    output = site.made("output")
    means, scales = _statistics(site, site.stored("saved statistics"))
    at = Operands(site).at(site.needed("input"), site.layer.shape)
    return [call("normalise_again", _map(site, output), at, "held", means, scales, site.floats(output))]


def backward(site: Site) -> Lines:
    """In place on the gradient."""
    op = site.layer.op
    if isinstance(op, FrozenNorm) and op.sides:
        return _by_places(site, op)
    if isinstance(op, FrozenNorm):
        back, shifts = Back.of(site), site.result("bias gradient")
        scales = site.floats(site.stored("folded") or site.stored("running"))
        given = back.domain, back.gradient, "held"
        lines = [call("bias_gradient", *given, site.floats(shifts))] if shifts else []
        if back.target is not None:
            lines.append(call("scale_backward", *given, scales, site.gradient(back.target)))
        return lines
    operands, shape = Operands(site), site.layer.shape
    gradient, saved = operands.at(site.needed("gradient"), shape), site.needed("saved output")
    y = operands.at(saved, shape)
    batch = site.batch(site.stored("saved output") or "")
    _, scales = _statistics(site, site.stored("saved statistics"))
    made = site.floats(site.result("bias gradient")), site.gradient(site.result("input gradient"))
    by = site.floats(site.stored("bias"))
    if isinstance(op, GROUPED):
        group, scales = _Grouped(site, batch), site.floats(site.stored("saved statistics"))
        read = *group.where, group.at(gradient), group.at(y)
        return [call("group_norm_backward", *read, "held", by, scales, *made)]
    where = f"(struct map){map_of(batch, dims_of(shape))}"
    return [call("batch_norm_backward", where, gradient, y, "held", by, scales, *made)]


def _by_places(site: Site, op: FrozenNorm) -> Lines:
    """In place on the gradient, by factors that are none of channels."""
    target = site.made("input gradient")
    scales = f"({site.floats(site.stored('folded') or site.stored('running'))})"
    gradient = Operands(site).at(site.needed("gradient"), site.layer.shape)
    value = f"{gradient}(held, b, y, x, c) * {scales}[{value_of(site.layer.shape, op.sides)}]"
    made = site.function("value", "float", ELEMENT, f"{UNUSED} return {value};")
    return [put_map(site, _map(site, target), target, made)]


GROUPED = GroupNorm | ChannelNorm | LayerNorm
"""Those that take means of a sample."""


class _Grouped:
    """The map and the groups of its channels; that of a norm over channels is of pixels, each by itself."""

    def __init__(self, site: Site, batch: int) -> None:
        op, (rows, columns, channels) = site.layer.op, dims_of(site.layer.shape)
        self.site, self.sides, self.pixels = site, (rows, columns), isinstance(op, ChannelNorm)
        dims = (
            (batch * rows * columns, (1, 1, channels)) if self.pixels else (batch, (rows, columns, channels))
        )
        self.where = f"(struct map){map_of(*dims)}", op.groups if isinstance(op, GroupNorm) else 1
        if isinstance(op, LayerNorm):
            _check_whole(site, op)

    def at(self, operand: str) -> str:
        """The function of an operand as the kernel counts its elements."""
        if not self.pixels:
            return operand
        rows, columns = self.sides
        at = f"b / {rows * columns}, b / {columns} % {rows}, b % {columns}, c"
        return self.site.function(
            "pixel", "float", ELEMENT, f"(void)y, (void)x; return {operand}(held, {at});"
        )


def _check_whole(site: Site, op: LayerNorm) -> None:
    """Raise InputError for means of a part of a sample, and for a pair of each place of a map."""
    features = len(site.layer.shape) == 1 and not is_flattened(site.schedule, site.layer.inputs[0])
    if op.rows != 1 or (op.affine and not features):
        raise without_form(
            f"layer {site.layer.name}", "a layer norm over rows, or with factors of places",
            "one over channels, over features, or over all of a map without factors",
            "use a group norm of one group",
        )  # fmt: skip


def _map(site: Site, name: str) -> str:
    return f"(struct map){map_of(site.batch(name), dims_of(site.layer.shape))}"
