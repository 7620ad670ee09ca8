"""Training on integers alone: ``niti`` in 8 bits and two forms of 4, global and local; ``nitro-local``."""

from dataclasses import replace

from devices.network import Network
from devices.program.integer import IntegerForm, IntegerLowering, IntegerState, integer_network
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.local import steps_of_blocks
from devices.program.schedule import Program, Schedule


class IntegerBuilder(Builder):
    """A program of integer layers. Optimizer, cost table and bits of ``step`` are the form's."""

    def __init__(self, network: Network, step: Step, form: IntegerForm) -> None:
        self.network = integer_network(network)
        self.form = form
        self.step = replace(step, optimizer="sgd", table=form.table, bits=form.bits)
        self.program = Program()
        self.state = IntegerState(self.program, form.bits, "sgd", steps=False)
        self.state.draws = form.draws
        self.lowering = self.lower(step.batch)

    def lower(self, batch: int) -> IntegerLowering:
        """A lowering of ``batch`` images."""
        lowering = IntegerLowering(self.program, self.network, self.step.table, self.step.bits, batch)
        lowering.gradient_bits = self.form.error_bits
        lowering.scaled = self.form.scaled
        lowering.twice = self.step.twice and not self.form.scaled
        return lowering


def integer_bp(network: Network, step: Step, form: IntegerForm) -> Schedule:
    """Forward through all blocks and back; each layer's weights take their step on the way."""
    build = IntegerBuilder(network, step, form)
    layers = build.train_all()
    build.load()
    build.lowering.forward(layers)
    build.lowering.backward(layers, fused=True)
    return build.finish()


def integer_local(network: Network, step: Step, form: IntegerForm) -> Schedule:
    """Forward, head and backward of one block after the other; all weights are resident."""
    return steps_of_blocks(IntegerBuilder(network, step, form), fused=True)
