/* An example of a program that trains: put your own sensor in the place of next_batch. */
#include "blockwise.h"

/* Writes the next BLOCKWISE_BATCH images, the channels of a pixel side by side, and what they show. */
static void next_batch(uint8_t *images, uint8_t *labels) {
    static uint32_t number;
    for (int b = 0; b < BLOCKWISE_BATCH; ++b, ++number) {
        uint32_t label = number % BLOCKWISE_CLASSES;
        for (int pixel = 0; pixel < BLOCKWISE_HEIGHT * BLOCKWISE_WIDTH * BLOCKWISE_CHANNELS; ++pixel)
            *images++ = (uint8_t)(pixel * (label + 1)); /* a pattern for each class */
        for (int byte = 0; byte < BLOCKWISE_LABEL_BYTES; ++byte) *labels++ = (uint8_t)(label >> 8 * byte);
    }
}

int main(void) {
    blockwise_init(1);
    for (int step = 0; step < 100; ++step) {
        next_batch(blockwise_images(), blockwise_labels());
        blockwise_step();
    }
    return 0;
}
