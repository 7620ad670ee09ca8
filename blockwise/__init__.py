"""Blockwise: can this network be trained on this microcontroller, how, and how well?"""

__version__ = "0.1.0"
