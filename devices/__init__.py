"""The hardware side: boards, the schedule of a training step, and the bytes it holds in RAM."""

from devices.boards.profile import Device, catalogue, load
from devices.memory.paper import PaperFigures, paper_figures
from devices.network import Block, Layer, Network
from devices.planning import Plan, plan
from devices.program.ledger import Ledger, Moment

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
