"""Prediction of one image in C: the operations of its own schedule, and the function that calls them."""

from collections.abc import Sequence

from blockwise.firmware.emit.dialect import Dialect
from blockwise.firmware.emit.step import operations
from blockwise.firmware.emit.text import address, indented
from blockwise.firmware.program import Firmware
from devices.program.operation import tensors_of

PREFIX = "prediction"

DECLARATIONS = (
    "#define BLOCKWISE_PREDICTS 1",
    "",
    "/* Between steps, where blocks are trained one by one behind the last phase: write an image to",
    " * blockwise_image(), and its class is predicted. Its tensors lie where those of a step do, so the next",
    " * step's batch is to be written afterwards. */",
    "uint8_t *blockwise_image(void);",
    "uint32_t blockwise_predict(void);",
)


def functions(firmware: Firmware, dialect: Dialect, kernel: str, kind: str) -> Sequence[str]:
    """Of a firmware whose schedule is a prediction; its last operation tells where the logits are.

    ``kernel`` finds the class of logits, which are of the C type ``kind``.
    """
    *calls, result = firmware.schedule.operations
    ((_, logits),) = result.operands
    (tensor,) = tensors_of(logits)
    lines = [f"{PREFIX}_{index}();" for index in range(len(calls))]
    told = f"return {kernel}((const {kind} *)({address(firmware, tensor)}), {firmware.classes});"
    return [
        *list(operations(firmware, dialect, PREFIX))[:-1],
        f"uint8_t *blockwise_image(void) {{ return {address(firmware, 'batch.images')}; }}",
        f"uint32_t blockwise_predict(void) {{\n{indented([*lines, told])}}}",
    ]
