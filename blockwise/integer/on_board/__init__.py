"""A planned step of integer training on bytes, which must end with the bits of the simulation."""

from blockwise.integer.on_board.machine import IntegerMachine, machine_of, placed_layers, stored

__all__ = ["IntegerMachine", "machine_of", "placed_layers", "stored"]
