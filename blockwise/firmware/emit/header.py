"""blockwise.h: what an engineer's own program calls."""

from blockwise.firmware.emit import persist
from blockwise.firmware.emit.dialect import Dialect
from blockwise.firmware.program import Firmware
from blockwise.firmware.shapes import as_map

TOP = """\
/* Training on this board: {regime}, {batch} image(s) a step. Generated: do not edit.
 *
 *     blockwise_init(seed);                      then blockwise_state_write(weights), if there are any
 *     for each step:
 *         write the next images and labels to blockwise_images() and blockwise_labels()
 *         blockwise_step();
 *
 * All memory is planned: nothing else is allocated, and a step keeps nothing on the stack that grows. */
#ifndef BLOCKWISE_H
#define BLOCKWISE_H

#include <stdint.h>

#define BLOCKWISE_BATCH {batch}      /* images of a step */
#define BLOCKWISE_CHANNELS {channels}
#define BLOCKWISE_HEIGHT {height}
#define BLOCKWISE_WIDTH {width}
#define BLOCKWISE_CLASSES {classes}
#define BLOCKWISE_LABEL_BYTES {label_bytes}
#define BLOCKWISE_TENSORS {tensors}    /* that outlive a step */
#define BLOCKWISE_STATE_BYTES {state_bytes}
"""

COMMON = """\
/* Where the next batch is to be written before blockwise_step: BLOCKWISE_BATCH images of bytes, row by row,
 * the channels of a pixel side by side; and as many labels. Other tensors lie there during a step. */
uint8_t *blockwise_images(void);
uint8_t *blockwise_labels(void);

/* One step of training on that batch. */
void blockwise_step(void);

/* What outlives a step: weights, and the states of random generators. */
struct blockwise_tensor {
    uint8_t *bytes;
    uint32_t size;
};
extern const struct blockwise_tensor blockwise_state[BLOCKWISE_TENSORS];

/* Copy the whole state, BLOCKWISE_STATE_BYTES, out of the RAM of the plan or into it. */
void blockwise_state_read(uint8_t *to);
void blockwise_state_write(const uint8_t *from);
"""


GIVEN = """\
/* The state that a finished training has left, to start from: blockwise_state_write(blockwise_given). */
#define BLOCKWISE_GIVEN 1
extern const uint8_t blockwise_given[BLOCKWISE_STATE_BYTES];
"""


def text(firmware: Firmware, dialect: Dialect) -> str:
    """The file."""
    channels, height, width = as_map(firmware.network.in_shape)
    labels = firmware.schedule.tensors["batch.labels"]
    top = TOP.format(
        regime=firmware.regime, batch=firmware.batch, channels=channels, height=height, width=width,
        classes=firmware.classes, label_bytes=labels.bits // 8, tensors=len(firmware.resident),
        state_bytes=sum(tensor.bytes for tensor in firmware.resident),
    )  # fmt: skip
    given = [GIVEN] if firmware.given is not None else []
    saving = persist.declarations(firmware)
    return "\n".join([top, *dialect.declarations, "", COMMON, *given, *saving, "#endif", ""])
