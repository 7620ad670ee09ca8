"""Convolutions and linear layers: sums of products, and both gradients."""

from blockwise.firmware.emit.floats.errors import Errors
from blockwise.firmware.emit.floats.operands import Operands
from blockwise.firmware.emit.floats.places import source_shape
from blockwise.firmware.emit.floats.pools import cleared
from blockwise.firmware.emit.floats.shares import features, keep
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, number
from blockwise.firmware.emit.floats.updates import pace_of
from blockwise.firmware.emit.floats.weights import Weights, convolution, range_of, weights_of
from devices.network.ops import Conv
from devices.program.kernels.shares import part_of
from devices.program.operation import Derived, Operand, Stored

Lines = list[str]


def forward(site: Site) -> Lines:
    """Sums of products, into an accumulator of 32 bits; also once more, for a norm that did not keep it."""
    source = site.operand("input") or site.needed("saved input")
    output, layer, operands = site.made("output"), site.layer, Operands(site)
    weights = _weights(site)
    geometry = convolution(site, layer, site.batch(output))
    bias, out = site.floats(site.stored("bias")), site.floats(output)
    codes, kept = operands.codes(source, layer, weights), keep(site)
    if codes is not None:
        name, bits, step = codes
        made = f"{weights.scale} * {step}", bias, out
        read = name, bits, weights.level, weights.begin
        return [*kept, call("convolve_codes", geometry, *read, "held", *made)]
    inner = operands.at(source, source_shape(site, layer))
    weigh, scale = (inner, weights.weight, weights.begin), (weights.scale, bias, out)
    return [*kept, call("convolve_floats", geometry, *weigh, "held", *scale)]


def input_gradient(site: Site) -> Lines:
    """The error of the input, from the old weights."""
    target, weights = site.made("input gradient"), _weights(site)
    geometry = convolution(site, site.layer, site.batch(target))
    errors = Errors.of(site, Operands(site))
    added = call(
        "add_input_gradient", geometry, errors.domain, errors.stands, errors.gradient, weights.weight,
        weights.begin, "held", weights.scale, site.floats(target),
    )  # fmt: skip
    return [*cleared(site, target), added]


def weight_gradient(site: Site) -> Lines:
    """Gradients of latent weights, biases and steps; a filter may take its own step at once."""
    operands, saved = Operands(site), site.needed("saved input")
    errors = Errors.of(site, operands)
    biases = _biases(site, errors) if site.result("bias gradient") else []
    return [*biases, *_by_filter(site, _of_filter(site, operands, errors, saved))]


def bias_gradient(site: Site) -> Lines:
    """Of a layer whose weights are frozen."""
    return _biases(site, Errors.of(site, Operands(site)))


def _biases(site: Site, errors: Errors) -> Lines:
    to = site.floats(site.made("bias gradient"))
    return [call("bias_gradient", errors.domain, errors.gradient, "held", to)]


def _of_filter(site: Site, operands: Operands, errors: Errors, saved: Operand) -> str:
    """The statement that makes the gradient of one filter; ``to`` is where."""
    if site.layer.is_shared:
        return _of_part(site, operands, errors, saved)
    geometry = convolution(site, site.layer, site.batch(_first(saved)))
    codes, gradient = operands.codes(saved, site.layer, None), errors.gradient
    if codes is not None and codes[1] and not errors.few:
        name, bits, step = codes
        step = site.number(step)
        return call("filter_gradient_of_codes", geometry, name, bits, step, gradient, "held", "filter", "to")
    return _of_floats(geometry, errors, operands.at(saved, source_shape(site, site.layer)))


def _of_floats(geometry: str, errors: Errors, inner: str) -> str:
    if not errors.few:
        return call("filter_gradient", geometry, inner, errors.gradient, "held", "filter", "to")
    where = errors.domain, errors.stands
    return call("filter_gradient_of_few", geometry, *where, inner, errors.gradient, "held", "filter", "to")


def _of_part(site: Site, operands: Operands, errors: Errors, saved: Operand) -> str:
    """Of the trained channels of a filter; of their inputs there is a copy, or the whole."""
    layer, part = site.layer, part_of(site.layer)
    geometry = convolution(site, part, site.batch(_first(saved)))
    if isinstance(saved, Stored) and layer.trained.inputs is not None:
        return _of_floats(geometry, errors, operands.at(saved, site.tensor(saved.tensor).shape[1:]))
    inner = operands.at(saved, source_shape(site, layer))
    inner = inner if isinstance(layer.op, Conv) else features(site, layer, inner)
    return _of_floats(geometry, errors, inner)


def _first(operand: Operand) -> str:
    while isinstance(operand, Derived):
        operand = operand.inputs[0]
    return operand.tensor


def _by_filter(site: Site, of_filter: str) -> Lines:
    """Filter by filter: its gradient, through the quantizer, and its step if it is taken at once."""
    layer, levels, steps = site.layer, site.levels, site.result("weight") is not None
    size, filters = layer.trained_filter, layer.trained_outputs
    latent = site.floats(site.stored("weight"))
    room = site.operation.scratch[0] if steps else site.made("weight gradient")
    to = site.floats(room) if steps else f"{site.floats(room)} + filter * {size}"
    lines = [
        f"for (int filter = 0; filter < {filters}; filter++) {{",
        f"    float *to = {to};",
        f"    {of_filter}",
    ]
    if levels is not None:
        step = site.number(site.size(_step(site)))
        found = f"pass_to_latent({range_of(levels)}, to, {latent} + filter * {size}, {size}, {step})"
        learns = site.result("step gradient") is not None
        lines = [*(["float shares = 0.0f;"] if learns else []), *lines]
        lines.append(f"    shares += {found};" if learns else f"    {found};")
    if steps:
        state = site.floats(site.result("state"))
        states = state if state == "0" else f"{state} + filter * {size}"
        momentum, pace = number(site.facts.momentum), pace_of(site, f"{layer.name}.weight")
        update = call("update", size, f"{latent} + filter * {size}", "to", states, momentum, pace)
        lines.append(f"    {update}")
    return [*lines, "}", *step_gradient(site, layer.weights)]


def step_gradient(site: Site, elements: int) -> Lines:
    """The gradient of a quantizer's step from the sum ``shares``; so many elements share the step."""
    target, levels = site.result("step gradient"), site.levels
    if target is None or levels is None:
        return []
    raw = f"*(const float *)({site.address(_step(site))})"
    scale = number((elements * levels.high) ** -0.5)
    return [f"*{site.floats(target)} = step_gradient(shares, {raw}, {scale});"]


def _step(site: Site) -> str:
    found = site.stored("step")
    assert found is not None
    return found


def _weights(site: Site) -> Weights:
    names = {
        role: name for role in ("weight", "codes", "rest", "step") if (name := site.stored(role)) is not None
    }
    scratch = next((s for s in site.operation.scratch if ".filter" in s), None)
    return weights_of(site, site.layer, names, scratch)
