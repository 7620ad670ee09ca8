"""Which C performs an operation of a float schedule."""

from collections.abc import Callable

from blockwise.firmware.emit.floats import (
    activations,
    affine,
    attention,
    joined,
    moves,
    norms,
    pools,
    updates,
    weighted,
    zeroth_order,
)
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.float_facts import without_form
from devices.program.execute.frame import found_for
from devices.program.operation import Operation
from devices.program.schedule import Schedule

Emitter = Callable[[Site], list[str]]

LAYERS: dict[tuple[str, str], Emitter] = {
    ("conv", "forward"): weighted.forward,
    ("conv", "again"): weighted.forward,
    ("conv", "backward (input)"): weighted.input_gradient,
    ("conv", "backward (weight)"): weighted.weight_gradient,
    ("conv", "backward (bias)"): weighted.bias_gradient,
    ("linear", "forward"): weighted.forward,
    ("linear", "again"): weighted.forward,
    ("linear", "backward (input)"): weighted.input_gradient,
    ("linear", "backward (weight)"): weighted.weight_gradient,
    ("linear", "backward (bias)"): weighted.bias_gradient,
    ("batch_norm", "forward"): norms.forward,
    ("batch_norm", "backward"): norms.backward,
    ("batch_norm_recompute", "forward"): norms.forward,
    ("batch_norm_recompute", "again"): norms.again,
    ("batch_norm_recompute", "backward"): norms.backward,
    ("group_norm", "forward"): norms.forward,
    ("group_norm", "backward"): norms.backward,
    ("channel_norm", "forward"): norms.forward,
    ("channel_norm", "backward"): norms.backward,
    ("layer_norm", "forward"): norms.forward,
    ("layer_norm", "backward"): norms.backward,
    ("affine", "forward"): affine.forward,
    ("affine", "backward"): affine.backward,
    ("frozen_norm", "forward"): norms.forward,
    ("frozen_norm", "backward"): norms.backward,
    ("shifted_norm", "forward"): norms.forward,
    ("shifted_norm", "backward"): norms.backward,
    ("relu", "forward"): activations.forward,
    ("relu", "backward"): activations.backward,
    ("leaky_relu", "forward"): activations.forward,
    ("leaky_relu", "backward"): activations.backward,
    ("swish", "forward"): activations.forward,
    ("swish", "backward"): activations.backward,
    ("gelu", "forward"): activations.forward,
    ("gelu", "backward"): activations.backward,
    ("mish", "forward"): activations.forward,
    ("mish", "backward"): activations.backward,
    ("sigmoid", "forward"): activations.forward,
    ("sigmoid", "backward"): activations.backward,
    ("tanh", "forward"): activations.forward,
    ("tanh", "backward"): activations.backward,
    ("elu", "forward"): activations.forward,
    ("elu", "backward"): activations.backward,
    ("quantize", "forward"): activations.forward,
    ("quantize", "backward"): activations.backward,
    ("max_pool", "forward"): pools.max_forward,
    ("max_pool", "backward"): pools.max_backward,
    ("avg_pool", "forward"): pools.mean_forward,
    ("avg_pool", "backward"): pools.mean_backward,
    ("add", "forward"): pools.stored,
    ("shortcut", "forward"): pools.stored,
    ("shortcut", "backward"): pools.shortcut_backward,
    ("cat", "backward"): joined.part_backward,
    ("pad", "forward"): joined.pad_forward,
    ("pad", "backward"): joined.part_backward,
    ("slice", "backward"): joined.rearranged_backward,
    ("permute", "backward"): joined.rearranged_backward,
    ("expand", "backward"): joined.rearranged_backward,
    ("scale", "forward"): pools.stored,
    ("scale", "backward"): joined.scale_backward,
    ("softmax", "forward"): attention.softmax,
    ("softmax", "backward"): attention.softmax_backward,
    ("matmul", "forward"): attention.product,
    ("matmul", "backward"): attention.product_backward,
    ("mul", "forward"): pools.stored,
    ("mul", "backward"): joined.product_backward,
    ("cross_entropy", "forward"): updates.loss,
    ("cross_entropy", "backward"): updates.loss_backward,
    ("distilled_cross_entropy", "forward"): updates.loss,
    ("distilled_cross_entropy", "backward"): updates.loss_backward,
}
"""(kind of layer, action) -> what writes its statements."""

OTHERS: dict[str, Emitter] = {
    "load batch": moves.load,
    "deployed network": moves.deployed,
    "unpack": moves.page_in,
    "begins": moves.page_in,
    "ends": moves.load,
    "result": moves.load,
    "pack": moves.pack,
    "gather inputs": moves.gather,
    "store input": moves.store_input,
    "update": updates.update,
    "kept": updates.keep,
    "copy gradient": updates.copy_gradient,
    "add gradients": updates.copy_gradient,
    "zero differences": zeroth_order.zero,
    "perturb forth": zeroth_order.forth,
    "perturb back": zeroth_order.back,
    "restore": zeroth_order.restore,
    "update along directions": zeroth_order.update,
}


def emitter(operation: Operation, schedule: Schedule) -> Emitter:
    """By the kind of layer and the action, else by the action alone.

    Raises InputError for an operation that has no C form.
    """
    layer = schedule.layers.get(operation.layer)
    found = found_for(LAYERS, OTHERS, operation, layer)
    if found is None:
        do, dropped = "use another network, head, norm or regime", layer is not None and layer.op.drops
        raise without_form(
            operation.subject or "the schedule",
            f"the operation {layer.op.words if layer is not None else operation.action}",
            "layers and regimes that have one",
            "leave it out, or give it a rate of 0" if dropped else do,
        )
    return found
