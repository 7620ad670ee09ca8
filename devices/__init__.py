"""The hardware side: boards, the schedule of a training step, and the bytes it holds in RAM."""

from devices.ledger import Ledger, Moment
from devices.network import Block, Layer, Network
from devices.paper import PaperFigures, paper_figures
from devices.planning import Plan, plan
from devices.profile import Device, catalogue, load

__all__ = [
    "Block",
    "Device",
    "Layer",
    "Ledger",
    "Moment",
    "Network",
    "PaperFigures",
    "Plan",
    "catalogue",
    "load",
    "paper_figures",
    "plan",
]
