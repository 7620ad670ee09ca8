"""A network as the hardware side sees it: layers with shapes, grouped into blocks with local heads."""

from devices.network.layers import (
    ANSWER,
    IMAGES,
    LABELS,
    Block,
    Layer,
    Network,
    Precision,
    Residual,
    skipping,
)

__all__ = [
    "ANSWER",
    "IMAGES",
    "LABELS",
    "Block",
    "Layer",
    "Network",
    "Precision",
    "Residual",
    "skipping",
]
