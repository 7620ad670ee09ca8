"""Which regimes have a C form. What their networks lack is told by what writes it."""

from blockwise.firmware.float_facts import without_form
from blockwise.firmware.shapes import MAP, lies_as
from devices.boards.profile import Device
from devices.errors import InputError
from devices.network import Layer, Network
from devices.network.ops import View
from devices.program.regimes import INTEGER_REGIMES, find

FLOAT_REGIMES = ("bp", "bp-fused", "local", "local-resident", "zo", "zo-hybrid")
"""Those that neither compute anything again nor read flash within a step."""

WORD_BYTES = 4

REGIMES = (*FLOAT_REGIMES, *INTEGER_REGIMES)


def check_alignment(device: Device) -> None:
    """Raise InputError for a board whose plans may lay a value of 32 bits where no pointer to one may be."""
    if device.alignment_bytes < WORD_BYTES:
        raise InputError(
            f"firmware for {device.name}", got=f"alignment_bytes = {device.alignment_bytes}",
            wanted=f"{WORD_BYTES} or more, since programs hold values of 32 bits",
            do=f"set it to {WORD_BYTES} in the profile",
        )  # fmt: skip


def check_views(network: Network) -> None:
    """Raise InputError for a map in another shape: on a board its channels come last, and would not then.

    Several views around a permutation or a part may have more dimensions than a map, for nothing lies so.
    """
    for layer in network.all_layers:
        if not layer.op.rearranges and len(layer.shape) > MAP:
            found = f"{layer.op.words} of {len(layer.shape)} dimensions"
            raise without_form(f"layer {layer.name}", found, "maps of three at most", "use another network")
        if isinstance(layer.op, View) and len(layer.shape) <= MAP:
            _check_view(network, layer)


def _check_view(network: Network, layer: Layer) -> None:
    layers = {x.name: x for x in network.all_layers}
    source = layers.get(layer.inputs[0])
    while source is not None and len(source.shape) > MAP:
        if not isinstance(source.op, View):
            return
        source = layers.get(source.inputs[0])
    shape = network.in_shape if source is None else source.shape
    if not lies_as(shape, layer.shape):
        sides = "x".join(map(str, shape)), "x".join(map(str, layer.shape))
        raise without_form(
            f"layer {layer.name}", f"{sides[0]} as a map of {sides[1]}", "flattened maps",
            "give the data the shape that the first convolution takes, or write places as "
            "x.flatten(2).transpose(1, 2)",
        )  # fmt: skip


def check_regime(name: str, flag: str = "--regime") -> None:
    """Raise InputError for a regime that does not exist, or has no C form."""
    if find(name).name not in REGIMES:
        raise without_form(flag, name, f"one of {', '.join(REGIMES)}", "choose one")
