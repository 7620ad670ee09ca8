"""What the memory figures of a comparison take for granted, in words."""

from blockwise import quant
from blockwise.experiment.prepared import Prepared
from devices.boards.profile import KIB
from devices.program.regimes import find

INTEGER_ASSUMPTION: dict[str, str] = {
    "buffered": "integer regimes hold no latent weights and no optimizer state, and step layer by layer; "
    "niti's sums wait in a buffer of 32 bits until the largest is known",
    "twice": "integer regimes hold no latent weights and no optimizer state, and step layer by layer; "
    "niti's sums are computed twice, the first time for the largest alone",
    "auto": "integer regimes hold no latent weights and no optimizer state, and step layer by layer; "
    "niti's sums are computed twice where their buffers would not fit, the first time for the largest alone",
}

ZEROTH_ORDER_ASSUMPTION = (
    "zeroth-order regimes draw a direction again from the seed wherever they need it, and pass image by "
    "image where no norm, no level of activations and no exponent looks at the batch"
)

ANSWER_ASSUMPTION = (
    "in local and local-paged the network answers before any block's step, as deployed and one image at a "
    "time; its logits wait at 32 bits for the heads that they teach"
)

SKIPPING_ASSUMPTION = (
    "where blocks skip steps by chance, work and time are those expected, peak and flash traffic those of a "
    "step in which every block learns"
)

NORM_ASSUMPTIONS: dict[str, str] = {
    "batch": "batch norm works in place and keeps its normalised values, ",
    "batch-recompute": "batch norm's input is computed again going back, ",
    "group": "group norm works in place and keeps its normalised values, ",
    "frozen": "frozen norms scale and shift in place, ",
    "none": "",
}


FROZEN_ASSUMPTIONS: dict[str, str] = {
    "ram": "packed in RAM", "flash": "packed in flash and is read in place",
}  # fmt: skip


def assumptions(prepared: Prepared) -> tuple[str, ...]:
    """What the memory figures take for granted, one line each."""
    training = prepared.config.training
    found = [*_float_assumptions(prepared)]
    if prepared.integer_regimes:
        found.append(INTEGER_ASSUMPTION[training.requantize])
    if any(find(regime).perturbs for regime in training.regimes):
        found.append(ZEROTH_ORDER_ASSUMPTION)
    if any(find(regime).learns_together for regime in training.regimes):
        found += [ANSWER_ASSUMPTION] if prepared.config.local.distillation else []
        found += [SKIPPING_ASSUMPTION] if prepared.config.local.skip_heads else []
    if not training.part.whole:
        found.append(
            f"{_trained(prepared)}; all else lies {FROZEN_ASSUMPTIONS[training.frozen]}{_mapped(prepared)}, "
            "norms by their running statistics; before the first layer that is trained images pass one by one"
        )
    return tuple(found)


def _mapped(prepared: Prepared) -> str:
    """The bytes of flash that are read in place, if any are."""
    count = prepared.plan(prepared.config.training.regimes[0]).schedule.mapped_bytes
    return f" ({count:,} bytes)" if count else ""


def _trained(prepared: Prepared) -> str:
    """What is trained of the network, in words."""
    network, part = prepared.network, prepared.config.training.part
    count = sum(x.trained_weights + x.biases * x.trained.biases for x in network.layers)
    words = f"{count:,} of {prepared.whole.parameters:,} parameters are trained ({part.spec}"
    if part.auto:
        shares = (f"{x.name} {x.trained_weights:,} weights" for x in network.layers if x.trained_weights)
        words += ": " + ", ".join(shares)
    return f"{words})"


def _float_assumptions(prepared: Prepared) -> tuple[str, ...]:
    return (
        f"{_edges(prepared)}latent weights, gradients, optimizer state and accumulators are 32 bits wide; "
        "local heads are float32",
        f"a direct C implementation without im2col: {NORM_ASSUMPTIONS[prepared.config.network.norm]}"
        "element-wise layers are evaluated on the fly"
        + ("" if prepared.config.is_float else ", one filter is unpacked at a time"),
        f"tensors are padded to {prepared.device.alignment_bytes} bytes; "
        f"{prepared.device.reserve_bytes / KIB:g} KiB of RAM are kept for stack and system, code is in flash",
        "images arrive as 8-bit values; packed blocks stay in RAM; in local-resident finished blocks run "
        "one image at a time",
    )


def _edges(prepared: Prepared) -> str:
    """The convention of first and last layers."""
    if prepared.config.is_float:
        return ""
    width = {quant.FLOAT_BITS: "in float", 1: "as the others"}
    edge = prepared.config.scheme.edge_bits
    return f"first and last layer {width.get(edge, f'at {edge} bits')}; "
