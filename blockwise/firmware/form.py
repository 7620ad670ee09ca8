"""Which regimes have a C form. What their networks lack is told by what writes it."""

from blockwise.firmware.float_facts import without_form
from blockwise.firmware.shapes import as_map
from devices.network import Network
from devices.network.ops import View
from devices.program.regimes import INTEGER_REGIMES, find

FLOAT_REGIMES = ("bp", "bp-fused", "local", "local-resident", "zo", "zo-hybrid")
"""Those that neither compute anything again nor read flash within a step."""

REGIMES = (*FLOAT_REGIMES, *INTEGER_REGIMES)


def check_views(network: Network) -> None:
    """Raise InputError for a map in another shape: on a board its channels come last, and would not then."""
    shapes = {layer.name: layer.shape for layer in network.all_layers}
    for layer in network.all_layers:
        before = shapes.get(layer.inputs[0], network.in_shape)
        moved = len(layer.shape) > 1 and as_map(layer.shape) != as_map(before)
        if isinstance(layer.op, View) and moved:
            sides = "x".join(map(str, before)), "x".join(map(str, layer.shape))
            raise without_form(
                f"layer {layer.name}", f"{sides[0]} as a map of {sides[1]}", "flattened maps",
                "give the data the shape that the first convolution takes",
            )  # fmt: skip


def check_regime(name: str, flag: str = "--regime") -> None:
    """Raise InputError for a regime that does not exist, or has no C form."""
    if find(name).name not in REGIMES:
        raise without_form(flag, name, f"one of {', '.join(REGIMES)}", "choose one")
