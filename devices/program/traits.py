"""Kinds of layers by what a program may do with them."""

from devices.network.ops import OPS

CODE_SCRATCH_BITS = 8
"""One filter's codes are unpacked to bytes (or to what wider codes take) before they are multiplied."""

CODE_MAKERS = tuple(op.kind for op in OPS if op.makes_codes)
"""Layers whose output is quantized to codes."""

DROPOUTS = tuple(op.kind for op in OPS if op.drops)
"""Layers that drop elements, or whole channels of an image, in training; at rest they do nothing."""

ACCUMULATORS = tuple(op.kind for op in OPS if op.accumulates)
"""Layers whose output a norm or a loss may overwrite."""

PASSIVE = tuple(op.kind for op in OPS if op.passes_codes)
"""Layers that hand codes on as codes."""

LOSSES = tuple(op.kind for op in OPS if op.is_loss)
"""Layers that end a run: their gradient starts from what they saved."""

ENDS = tuple(op.kind for op in OPS if op.ends)
"""Layers behind which there is no gradient to wait for."""

ACTIVATIONS = tuple(op.kind for op in OPS if op.overwritable)
"""Layers that a dropout may overwrite: what it drops has no gradient."""

ELEMENTWISE = tuple(op.kind for op in OPS if op.elementwise)
"""Layers that can evaluate a streamed input on the fly."""
