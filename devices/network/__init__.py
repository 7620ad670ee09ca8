"""A network as the hardware side sees it: layers with shapes, grouped into blocks with local heads."""

from devices.network.layers import (
    DROPOUTS,
    IMAGES,
    LABELS,
    PASSING,
    Block,
    Layer,
    Network,
    Precision,
    Residual,
    skipping,
)

__all__ = [
    "DROPOUTS",
    "IMAGES",
    "LABELS",
    "PASSING",
    "Block",
    "Layer",
    "Network",
    "Precision",
    "Residual",
    "skipping",
]
