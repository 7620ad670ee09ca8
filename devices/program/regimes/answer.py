"""The answer that teaches: the network as it would be deployed now, before any block takes its step.

Images pass one by one and nothing of them is kept but the logits. So each block runs once more in its own
step, by statistics of the batch where its norms have them.
"""

from devices.errors import InputError
from devices.network import ANSWER
from devices.program.distillation import teaches
from devices.program.regimes.ahead import one_by_one
from devices.program.regimes.builder import Builder


def ask(build: Builder) -> None:
    """Of blocks that are all in RAM. Raises InputError under another accounting than the device's."""
    if _is_asked(build):
        one_by_one(build, [build.network.layers], {}, build.network.blocks[-1].name, ANSWER)
        _keep(build)


def ask_paged(build: Builder) -> None:
    """Of blocks that come from flash in turn; nothing of them has changed that would go back there.

    Raises InputError under another accounting than the device's.
    """
    if not _is_asked(build):
        return
    blocks = build.network.blocks
    for block in blocks:
        held = build.read_copies(block)
        one_by_one(build, [block.layers], held, block.name, ANSWER if block is blocks[-1] else "outputs")
    _keep(build)


def _is_asked(build: Builder) -> bool:
    table = build.step.table
    if build.step.distillation is None or not teaches(build.network):
        return False
    if not table.packs:
        raise InputError(
            "distillation from the last block", got=f"the {table.name} accounting", wanted="the device's",
            do="leave the table out: images pass one by one in the device's alone",
        )  # fmt: skip
    return True


def _keep(build: Builder) -> None:
    """The logits wait for the heads that they teach."""
    outputs = build.lowering.values.outputs
    outputs[ANSWER] = outputs.pop(build.network.layers[-1].name)
