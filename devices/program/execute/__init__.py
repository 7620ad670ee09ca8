"""A training step on bytes: every tensor at its planned address, dead bytes poisoned.

The schedule is executed as a board would: nothing exists but what lies in memory. If a tensor is overwritten
too early, read too late, or not listed among what an operation reads, the step ends with other weights than
the simulation, or with an error. This is the proof that a schedule forgets nothing, and what emitted code
has to do.
"""

from devices.program.execute.frame import Frame, Machine
from devices.program.execute.memory import Memory, Misread
from devices.program.execute.run import execute

__all__ = ["Frame", "Machine", "Memory", "Misread", "execute"]
