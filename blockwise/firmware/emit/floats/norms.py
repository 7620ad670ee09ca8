"""Norms: in place on the accumulator, and in place on the gradient."""

from blockwise.firmware.emit.floats.errors import Back
from blockwise.firmware.emit.floats.operands import Operands
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number
from devices.network.ops import BatchNorm, FrozenNorm, GroupNorm
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
    if isinstance(op, GroupNorm):
        lines = [
            call("group_norm", shape, op.groups, at, "held", number(op.eps), to, site.floats(statistics))
        ]
        if site.operation.at_rest:  # nobody is left to apply scale and shift
            lines.append(call("apply_pair", shape, site.floats(site.stored("bias")), to))
        return lines
    assert isinstance(op, BatchNorm)
    means, scales = _statistics(site, statistics)
    running = site.floats(site.result("running"))
    momentum = number(op.momentum or 0.0)
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
    if isinstance(op, FrozenNorm):
        back, shifts = Back.of(site), site.result("bias gradient")
        scales = site.floats(site.stored("folded") or site.stored("running"))
        given = back.domain, back.gradient, "held"
        lines = [call("bias_gradient", *given, site.floats(shifts))] if shifts else []
        if back.target is not None:
            lines.append(call("scale_backward", *given, scales, site.floats(back.target)))
        return lines
    operands, shape = Operands(site), site.layer.shape
    gradient, saved = operands.at(site.needed("gradient"), shape), site.needed("saved output")
    y = operands.at(saved, shape)
    batch = site.batch(site.stored("saved output") or "")
    _, scales = _statistics(site, site.stored("saved statistics"))
    if isinstance(op, GroupNorm):
        scales = site.floats(site.stored("saved statistics"))
    rest = (
        gradient,
        y,
        "held",
        site.floats(site.stored("bias")),
        scales,
        site.floats(site.result("bias gradient")),
        site.floats(site.result("input gradient")),
    )
    where = f"(struct map){map_of(batch, dims_of(shape))}"
    if isinstance(op, GroupNorm):
        return [call("group_norm_backward", where, op.groups, *rest)]
    return [call("batch_norm_backward", where, *rest)]


def _map(site: Site, name: str) -> str:
    return f"(struct map){map_of(site.batch(name), dims_of(site.layer.shape))}"
