"""Convolutions and linear layers: sums of products, and both gradients."""

from blockwise.firmware.emit.floats.errors import Errors
from blockwise.firmware.emit.floats.operands import Operands, source_shape
from blockwise.firmware.emit.floats.pools import cleared
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, number
from blockwise.firmware.emit.floats.updates import pace_of
from blockwise.firmware.emit.floats.weights import Weights, convolution, range_of, weights_of
from devices.program.operation import Derived, Operand

Lines = list[str]


def forward(site: Site) -> Lines:
    """Sums of products, into an accumulator of 32 bits; also once more, for a norm that did not keep it."""
    source = site.operand("input") or site.needed("saved input")
    output, layer, operands = site.made("output"), site.layer, Operands(site)
    weights = _weights(site)
    geometry = convolution(site, layer, site.batch(output))
    bias, out = site.floats(site.stored("bias")), site.floats(output)
    codes = operands.codes(source, layer, weights)
    if codes is not None:
        name, bits, step = codes
        scale = f"{weights.scale} * {step}"
        return [
            call(
                "convolve_codes", geometry, name, bits, weights.level, weights.begin, "held", scale, bias, out
            )
        ]
    inner = operands.at(source, source_shape(site, layer))
    return [
        call(
            "convolve_floats",
            geometry,
            inner,
            weights.weight,
            weights.begin,
            "held",
            weights.scale,
            bias,
            out,
        )
    ]


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
    geometry = convolution(site, site.layer, site.batch(_first(saved)))
    codes, gradient = operands.codes(saved, site.layer, None), errors.gradient
    if codes is not None and codes[1] and not errors.few:
        name, bits, step = codes
        step = site.number(step)
        return call("filter_gradient_of_codes", geometry, name, bits, step, gradient, "held", "filter", "to")
    inner = operands.at(saved, source_shape(site, site.layer))
    if not errors.few:
        return call("filter_gradient", geometry, inner, gradient, "held", "filter", "to")
    where = errors.domain, errors.stands
    return call("filter_gradient_of_few", geometry, *where, inner, gradient, "held", "filter", "to")


def _first(operand: Operand) -> str:
    while isinstance(operand, Derived):
        operand = operand.inputs[0]
    return operand.tensor


def _by_filter(site: Site, of_filter: str) -> Lines:
    """Filter by filter: its gradient, through the quantizer, and its step if it is taken at once."""
    layer, levels, steps = site.layer, site.levels, site.result("weight") is not None
    size, filters = layer.filter_size, layer.weights // layer.filter_size
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
        lines = ["float shares = 0.0f;", *lines, f"    shares += {found};"]
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
    names = {role: name for role in ("weight", "codes", "step") if (name := site.stored(role)) is not None}
    scratch = next((s for s in site.operation.scratch if ".filter" in s), None)
    return weights_of(site, site.layer, names, scratch)
